"""Label maps (`StringIntLabelMap` in proto text) without the OD API: its message in a descriptor pool of its own.

Field numbers are those of upstream's object_detection/protos/string_int_label_map.proto.
"""

import functools
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from app.dataset import text

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


def read(path: Path) -> dict[int, str]:
    """The names of a label map by id, ascending; without the background's 0. Raises ValueError with one line."""
    message = _message_class()()
    try:
        text_format.Parse(text.read(path), message, allow_unknown_field=True)
    except text_format.ParseError as error:
        raise ValueError(f"no label map: {' '.join(str(error).split())[:120]}") from None
    names = {item.id: " ".join((item.name or item.display_name).split()) for item in message.item}
    return {number: names[number] for number in sorted(names) if number > 0 and names[number]}
