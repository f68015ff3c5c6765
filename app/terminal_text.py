"""Text from outside (names of classes, files and runs) that is to stay within its line and colour nothing."""

import codecs
import dataclasses
import io
import re
from pathlib import PurePath
from typing import Any, TextIO

_AS_JSON = "detbox.as_json"
"""The name of a way to write what an encoding lacks."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters (line ends, ANSI's escape), line and paragraph separators, marks that reverse the text behind
them, halves of surrogate pairs (bytes of a file name that are no UTF-8)."""


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""`text` with what would end its line or steer a terminal in Python's notation: `\n`, `\x1b`, `\u2028`.

    `keep`: characters that are left, such as the line ends of a text that has some by intent.
    """
    return _CONTROLS.sub(lambda match: match[0] if match[0] in keep else repr(match[0])[1:-1], text)


def take_any_text(stream: TextIO) -> None:
    r"""Lets `stream` write what its encoding lacks as `\u00e9`, which in JSON means the same: as under LC_ALL=C."""
    codecs.register_error(_AS_JSON, _escape_unencodable)
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=_AS_JSON)


def _escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True)), error.end


def escape_json(text: str) -> str:
    """JSON text that means the same and has none of those characters but line ends."""
    return _CONTROLS.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)


def escape_parts(value: Any) -> Any:
    """`value` (text, or collections and dataclasses that hold some, at any depth) with every text escaped."""
    if isinstance(value, str):
        return escape_controls(value)
    if isinstance(value, PurePath):
        return type(value)(escape_controls(str(value)))
    if isinstance(value, dict):
        return {escape_parts(key): escape_parts(item) for key, item in value.items()}
    if isinstance(value, tuple) and type(value) is not tuple:
        return type(value)(*map(escape_parts, value))
    if isinstance(value, list | tuple):
        return type(value)(map(escape_parts, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(value, **{name: escape_parts(getattr(value, name)) for name in fields})
    return value
