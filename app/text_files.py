"""Text files of unknown encoding: as editors, spreadsheets and shells of all systems write them."""

import codecs
from pathlib import Path

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decode(data: bytes) -> str:
    """The text of `data`: UTF-8, UTF-16 with a mark or without, else Windows' Western code page. Never fails."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding and data[:200].count(0) > len(data[:200]) // 4:
        # Of ASCII letters in UTF-16 every other byte is 0.
        encoding = "utf-16-le" if data[1:200:2].count(0) > data[0:200:2].count(0) else "utf-16-be"
    for candidate in (encoding, "utf-8", "cp1252"):
        try:
            if candidate:
                return data.decode(candidate)
        except UnicodeError:
            continue
    return data.decode("latin-1")


def read(path: Path) -> str:
    """The text of a file; an empty string where it can't be read."""
    try:
        return decode(path.read_bytes())
    except OSError:
        return ""


def lines(path: Path) -> list[str]:
    """The lines of a file that are not empty, without blanks at their ends; none where it can't be read."""
    return [line.strip() for line in read(path).splitlines() if line.strip()]
