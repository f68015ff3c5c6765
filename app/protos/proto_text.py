"""Proto text parsed with errors in one line."""

import re
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from app.errors import SettingsError
from app.protos import fields
from app.terminal_text import escape_controls

PROTO_ERROR = re.compile(r"^(?P<line>\d+):\d+ : (?:'.*': )?(?P<what>.*)$", re.DOTALL)
"""How text_format words an error: line:column, for some errors the whole line quoted, the fault."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CURLY = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
REMEDY_OF_RUN = "put back a copy of it, or make it again: detbox prepare"
"""For a file that `prepare` writes."""
BACKSLASH_REMEDY = r"in proto text write / between folders, or \\ for each backslash"


def read_proto_text(path: Path, *, remedy: str) -> str:
    """The text of a UTF-8 file, without the mark that editors of Windows put before it. Raises SettingsError."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"can't be read: {error.strerror}", where=str(path), remedy=remedy) from None
    except UnicodeDecodeError:
        raise SettingsError("is no UTF-8 text", where=str(path), remedy=remedy) from None


def parse_proto(text: str, message: Message, *, where: str, remedy: str) -> Any:
    """`message` with what `text` says. Raises SettingsError with the line."""
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        match = PROTO_ERROR.match(str(error))
        what = match["what"] if match else str(error)
        place = f"{where}:{match['line']}" if match else where
        lines = text.split("\n")
        line = lines[int(match["line"]) - 1] if match and int(match["line"]) <= len(lines) else ""
        fault, way = _typed_wrong(line, what) or (what, remedy)
        raise SettingsError(f"does not parse: {fault}", where=place, remedy=way) from None


def refuse_control_characters(message: Message, *, where: str) -> None:
    """Raises SettingsError for a string that holds one: a single backslash before a letter made it.

    Proto text takes the backslash of a path such as `D:\\train` for the beginning of an escape.
    """
    for field in fields.walk(message):
        if isinstance(field.value, str) and not field.value.isprintable() and CONTROL.search(field.value):
            shown = escape_controls(field.value)
            raise SettingsError(
                f"a backslash became a control character: {shown}",
                where=f"{where}: {field.path}",
                remedy=BACKSLASH_REMEDY,
            )


def _typed_wrong(line: str, fault: str) -> tuple[str, str] | None:
    """What is wrong with a line that does not parse, and the remedy, where its characters tell."""
    escape = re.search(r"""["']([^"']*\\[^"']*)""", line)
    if escape and "codec" in fault:  # as text_format says of what is no escape
        return f"a backslash in {escape[1]}", BACKSLASH_REMEDY
    if curly := re.search(f"[{CURLY}][^{CURLY}]*[{CURLY}]?", line):
        return f"curly quotes in {curly[0]}", f'write straight ones: "{curly[0].strip(CURLY)}"'
    return None
