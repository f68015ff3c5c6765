"""Text files of a data set whose words become names of classes and files."""

from pathlib import Path

from app import text_files
from app.dataset.faults import FIXED, Fault
from app.errors import DatasetError
from app.protos.label_map import ENCODING


def read_text(path: Path, where: str) -> tuple[str, list[Fault]]:
    """The text of a file, and that it is in a code page other than Windows' Western one; `where` names it.

    Raises DatasetError with the line where that can't be told, for names would be other words without a sign; OSError.
    """
    data = path.read_bytes()
    decoded = text_files.find_encoding(data)
    if not decoded.is_sure:
        raise guess_refused(path, next(n for n, line in enumerate(data.splitlines(), start=1) if not line.isascii()),
                            decoded)  # fmt: skip
    found = [Fault(ENCODING, where, f"read as {decoded.encoding}", FIXED)]
    return decoded.text, found if decoded.encoding not in ("", text_files.NAMES["cp1252"]) else []


def read_lines(path: Path, where: str) -> tuple[list[str], list[Fault]]:
    """The lines of a file that are not empty, see `read_text`."""
    text, found = read_text(path, where)
    return text_files.lines_of(text), found


def guess_refused(path: Path, line: int, decoded: text_files.Decoded) -> DatasetError:
    """The error for a file that could be in several encodings."""
    return DatasetError(
        f"it is no UTF-8, and its encoding can't be told ({decoded.encoding}?)",
        where=f"{path} line {line}",
        remedy="save it as UTF-8",
    )
