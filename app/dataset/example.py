"""tf.train.Example without TensorFlow: the same bytes from a message built in a descriptor pool of its own.

The pool is private, so the message can live in one process with TensorFlow's own, whatever the order of
imports. Field numbers are those of tensorflow/core/example/{example,feature}.proto.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

Values = Iterable[bytes] | Iterable[str] | Iterable[int] | Iterable[float]

_FIELD = descriptor_pb2.FieldDescriptorProto
_LISTS = (
    ("BytesList", "bytes_list", _FIELD.TYPE_BYTES),
    ("FloatList", "float_list", _FIELD.TYPE_FLOAT),
    ("Int64List", "int64_list", _FIELD.TYPE_INT64),
)


@functools.cache
def _example_class() -> type[Any]:
    """The message class of `Example { Features { map<string, Feature> } }`."""
    file = descriptor_pb2.FileDescriptorProto(name="detbox/example.proto", package="detbox", syntax="proto3")
    for name, _, kind in _LISTS:
        file.message_type.add(name=name).field.add(name="value", number=1, label=_FIELD.LABEL_REPEATED, type=kind)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, field, _) in enumerate(_LISTS, 1):
        feature.field.add(
            name=field, number=number, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_MESSAGE,
            type_name=f".detbox.{name}", oneof_index=0,
        )  # fmt: skip
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_STRING)
    entry.field.add(
        name="value", number=2, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_MESSAGE, type_name=".detbox.Feature"
    )
    features.field.add(
        name="feature", number=1, label=_FIELD.LABEL_REPEATED, type=_FIELD.TYPE_MESSAGE,
        type_name=".detbox.Features.FeatureEntry",
    )  # fmt: skip
    file.message_type.add(name="Example").field.add(
        name="features", number=1, label=_FIELD.LABEL_OPTIONAL, type=_FIELD.TYPE_MESSAGE, type_name=".detbox.Features"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("detbox.Example"))


def encode(features: Mapping[str, tuple[str, Values]]) -> bytes:
    """The serialized Example of `{key: (kind, values)}`.

    Kinds: `bytes_list` (str as UTF-8), `float_list`, `int64_list`. Equal features give equal bytes. A float
    is stored as float32.
    """
    message = _example_class()()
    for key, (kind, values) in features.items():
        if kind == "bytes_list":
            texts = cast("Iterable[bytes | str]", values)
            values = [text.encode(errors="surrogateescape") if isinstance(text, str) else text for text in texts]
        target = getattr(message.features.feature[key], kind)
        target.SetInParent()
        target.value.extend(values)
    return message.SerializeToString(deterministic=True)


def decode(data: bytes) -> dict[str, list[Any]]:
    """The features of a serialized Example: lists of bytes, float or int. Raises ValueError if it is none."""
    try:
        message = _example_class().FromString(data)
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from None
    result = {}
    for key, feature in message.features.feature.items():
        kind = feature.WhichOneof("kind")
        result[key] = list(getattr(feature, kind).value) if kind else []
    return result
