"""Proto text parsed with errors in one line."""

import re
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from app.errors import SettingsError

PROTO_ERROR = re.compile(r"^(?P<line>\d+):\d+ : (?:'.*': )?(?P<what>.*)$", re.DOTALL)
"""How text_format words an error: line:column, for some errors the whole line quoted, the fault."""


def parse_proto(text: str, message: Message, *, where: str, remedy: str) -> Any:
    """`message` with what `text` says. Raises SettingsError with the line."""
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        match = PROTO_ERROR.match(str(error))
        what = match["what"] if match else str(error)
        place = f"{where}:{match['line']}" if match else where
        raise SettingsError(f"does not parse: {what}", where=place, remedy=remedy) from None
