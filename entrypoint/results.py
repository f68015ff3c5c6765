"""The form in which a command's result is printed: text for people, JSON for machines."""

import dataclasses
from typing import Any

from app.run import files
from app.terminal_text import escape_json, escape_parts


def present(result: Any, *, as_json: bool) -> str:
    """What stdout gets for `result`, ending in a newline; nothing for None.

    Unless `as_json`, a dict becomes aligned lines and a list a line an item; the rest is shown by its `str`. Control
    characters in the result's texts are escaped.
    """
    if as_json:
        value = (
            dataclasses.asdict(result) if dataclasses.is_dataclass(result) and not isinstance(result, type) else result
        )
        return escape_json(files.as_json(value, indent=2)) + "\n"
    if result is None or result == "":
        return ""
    # A text as such has lines by intent; so has one that a result composes, but not one that it holds.
    result = result if isinstance(result, str) else escape_parts(result)
    if isinstance(result, dict):
        width = max((len(str(key)) for key in result), default=0)
        return "".join(f"{key!s:<{width}}  {value}\n" for key, value in result.items())
    if isinstance(result, (list, tuple)):
        return "".join(f"{item}\n" for item in result)
    return f"{result}\n"
