"""What a migration changed."""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message


@dataclass(frozen=True)
class Change:
    """One change: the field's path in the config (or the setting's name), its values, why. `after` empty: dropped."""

    what: str
    before: str
    after: str
    why: str


def drop(message: Message, path: str, name: str, why: str) -> list[Change]:
    """Clears a field if it is set. `path` is the message's, for the note."""
    descriptor = message.DESCRIPTOR.fields_by_name[name]
    if not (len(getattr(message, name)) if descriptor.is_repeated else message.HasField(name)):
        return []
    change = Change(f"{path}.{name}", text_of(getattr(message, name)), "", why)
    message.ClearField(name)
    return [change]


def replace(message: Message, path: str, name: str, value: Any, why: str) -> list[Change]:
    """Sets a scalar field to `value` if it has, or defaults to, another."""
    before = getattr(message, name)
    if before == value:
        return []
    given = message.HasField(name)
    setattr(message, name, value)
    return [Change(f"{path}.{name}", text_of(before) + ("" if given else " (default)"), text_of(value), why)]


def text_of(value: Any) -> str:
    """A field's value in a line, as proto text has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Message):
        return " ".join(f"{{ {value} }}".split())
    if isinstance(value, int):
        return str(value)
    return ", ".join(text_of(item) for item in value)
