"""Label maps (`StringIntLabelMap` in proto text)."""

import functools
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from object_detection.protos import string_int_label_map_pb2

from app import text_files
from app.errors import SettingsError
from app.protos.proto_text import parse_proto


def parse_label_map(text: str, *, where: str) -> dict[int, str]:
    """Class ids (1 and up) to names, in the file's order; SettingsError for an id or name of no use."""
    remedy = 'write items as: item { id: 1 name: "cat" }, ids from 1 without a gap'
    message = parse_proto(text, string_int_label_map_pb2.StringIntLabelMap(), where=where, remedy=remedy)
    names: dict[int, str] = {}
    for item in message.item:
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
            raise SettingsError(f"item with id {item.id} {fault}", where=where, remedy=remedy)
        names[item.id] = item.name
    return names


def parse_shown_names(text: str, *, where: str) -> dict[int, str]:
    """Class ids to the names that people read, of any label map that upstream has: `display_name` before `name`.

    Lenient, since nothing is trained by it: gaps, an id of 0 and doubles are no fault. SettingsError if it does not
    parse.
    """
    remedy = 'write items as: item { id: 1 name: "cat" }'
    message = parse_proto(text, string_int_label_map_pb2.StringIntLabelMap(), where=where, remedy=remedy)
    return {item.id: item.display_name or item.name or f"class {item.id}" for item in message.item}


def print_label_map(names: Mapping[int, str]) -> str:
    """The proto text of a label map: `names` maps class ids (1 and up) to names."""
    message = string_int_label_map_pb2.StringIntLabelMap()
    for number in sorted(names):
        message.item.add(id=number, name=names[number])
    return text_format.MessageToString(message)


_FIELD = descriptor_pb2.FieldDescriptorProto


@functools.cache
def _message_class():
    file = descriptor_pb2.FileDescriptorProto(name="detbox/label_map.proto", package="detbox", syntax="proto2")
    item = file.message_type.add(name="StringIntLabelMapItem")
    for name, number, kind in (("name", 1, "STRING"), ("id", 2, "INT32"), ("display_name", 3, "STRING")):
        item.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL, type=getattr(_FIELD, f"TYPE_{kind}"))
    file.message_type.add(name="StringIntLabelMap").field.add(
        name="item", number=1, label=_FIELD.LABEL_REPEATED, type=_FIELD.TYPE_MESSAGE,
        type_name=".detbox.StringIntLabelMapItem",
    )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("detbox.StringIntLabelMap"))


def read_label_map(path: Path) -> dict[int, str]:
    """The names of a label map by id, ascending; without the background's 0. Raises ValueError with one line."""
    message = _message_class()()
    try:
        text_format.Parse(text_files.read(path), message, allow_unknown_field=True)
    except text_format.ParseError as error:
        raise ValueError(f"no label map: {' '.join(str(error).split())[:120]}") from None
    names = {item.id: " ".join((item.name or item.display_name).split()) for item in message.item}
    return {number: names[number] for number in sorted(names) if number > 0 and names[number]}


def read_class_names(path: Path) -> dict[int, str]:
    """Class ids to the names that people read. Raises SettingsError, OSError."""
    return parse_shown_names(path.read_text(encoding="utf-8", errors="replace"), where=str(path))
