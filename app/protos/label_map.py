"""Label maps: proto text of upstream's `StringIntLabelMap`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from google.protobuf import text_encoding, text_format

from app import text_files
from app.errors import SettingsError
from app.protos.proto_text import parse_proto

REMEDY = 'write items as: item { id: 1 name: "cat" }, ids from 1 without a gap'


def parse_label_map(text: str, *, where: str) -> dict[int, str]:
    """Class ids (1 and up) to names, in the file's order; SettingsError for an id or name of no use."""
    names: dict[int, str] = {}
    for item in parse_proto(text, _message(), where=where, remedy=REMEDY).item:
        fault = ""
        if not item.name:
            fault = "has no name"
        elif item.id < 1:
            fault = "is not above 0"
        elif item.id in names:
            fault = "appears twice"
        elif item.name in names.values():
            fault = f"has a name that another has too: {item.name}"
        if fault:
            raise SettingsError(f"item with id {item.id} {fault}", where=where, remedy=REMEDY)
        names[item.id] = item.name
    return names


def read_class_names(path: Path) -> dict[int, str]:
    """Class ids to the names that people read, of any label map that upstream has: `display_name` before `name`.

    Lenient, since nothing is trained by it: gaps, an id of 0 and the same id twice are no fault. Raises SettingsError
    if it does not parse, OSError.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    items = parse_proto(text, _message(), where=str(path), remedy=REMEDY).item
    return {item.id: item.display_name or item.name or f"class {item.id}" for item in items}


def read_label_map(path: Path) -> dict[int, str]:
    """The names of a foreign label map by id, ascending; without the background's 0, whatever its encoding.

    Raises ValueError with one line.
    """
    message = _message()
    try:
        text_format.Parse(text_files.read(path), message, allow_unknown_field=True)
    except text_format.ParseError as error:
        raise ValueError(f"no label map: {' '.join(str(error).split())[:120]}") from None
    names = {item.id: " ".join((item.name or item.display_name).split()) for item in message.item}
    return {number: names[number] for number in sorted(names) if number > 0 and names[number]}


def print_label_map(names: Mapping[int, str]) -> str:
    """The proto text of a label map: `names` maps class ids (1 and up) to names."""
    # CEscape's stub wants bytes; it takes str as well, and then keeps letters of all scripts as they are.
    escaped = {number: text_encoding.CEscape(cast(Any, names[number]), as_utf8=True) for number in sorted(names)}
    return "".join(f'item {{\n  id: {number}\n  name: "{name}"\n}}\n' for number, name in escaped.items())


def _message() -> Any:
    # Imported where it is needed: a report of a run, say, reads no label map.
    from object_detection.protos import string_int_label_map_pb2

    return string_int_label_map_pb2.StringIntLabelMap()
