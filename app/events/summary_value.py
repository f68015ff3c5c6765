"""What a summary's value is: its tag, its kind, and where a scalar's number lies in its bytes."""

import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from app.events.wire import BYTES, FIXED32, FIXED64, VARINT, as_signed, read_fields, read_varint

SCALAR, IMAGE, HISTOGRAM, AUDIO, TENSOR = "scalar", "image", "histogram", "audio", "tensor"
_KINDS = {"scalars": SCALAR, "images": IMAGE, "histograms": HISTOGRAM, "audio": AUDIO}
"""The kind that TensorBoard's plugin of that name shows; other plugins' values are kept by the plugin's name."""

# Fields of Summary.Value (tensorflow/core/framework/summary.proto).
TAG, SIMPLE_VALUE, IMAGE_FIELD, HISTO, AUDIO_FIELD, TENSOR_FIELD, METADATA = 1, 2, 4, 5, 6, 8, 9
_BY_FIELD = {SIMPLE_VALUE: SCALAR, IMAGE_FIELD: IMAGE, HISTO: HISTOGRAM, AUDIO_FIELD: AUDIO, TENSOR_FIELD: TENSOR}
ENCODED_IMAGE, STRING_VAL = 4, 8
"""Fields of Summary.Image and TensorProto that hold images."""
# Fields of TensorProto (tensor.proto) and numbers of DataType (types.proto).
_SHAPE, _CONTENT, _FLOATS, _DOUBLES, _INTS, _INT64S = 2, 4, 5, 6, 7, 10
_FLOAT, _DOUBLE = 1, 2
_FORMATS = {_FLOAT: "<f", _DOUBLE: "<d", 3: "<i", 9: "<q"}


@dataclass(frozen=True)
class SummaryValue:
    """One value, at `start` to `end` of its event's bytes.

    `metadata`: its SummaryMetadata, which many writers give only with a tag's first value. `number`: of a scalar;
    `number_at`, `number_format`: where its bytes are, -1 where they are of no fixed size.
    """

    tag: str
    kind: str
    start: int
    end: int
    plugin: str = ""
    metadata: bytes = b""
    number: float | None = None
    number_at: int = -1
    number_format: str = "<f"

    @property
    def is_scalar(self) -> bool:
        return self.number is not None


def read_value(data: bytes, start: int, end: int, plugins: Mapping[str, str]) -> SummaryValue:
    """The value in these bytes; `plugins` has those of its tag's first values. Raises ValueError, IndexError."""
    tag, kind, metadata, held = b"", "empty", b"", (0, 0)
    for number, wire, _, begin, stop in read_fields(data, start, end):
        if number == TAG and wire == BYTES:
            tag = data[begin:stop]
        elif number == METADATA and wire == BYTES:
            metadata = data[begin:stop]
        elif number in _BY_FIELD and wire == (FIXED32 if number == SIMPLE_VALUE else BYTES):
            kind, held = _BY_FIELD[number], (begin, stop)
    name = tag.decode("utf-8", "backslashreplace")
    plugin = plugin_of(metadata) or plugins.get(name, "")
    if kind == SCALAR:
        return SummaryValue(
            name, SCALAR, start, end, plugin, metadata, struct.unpack_from("<f", data, held[0])[0], held[0]
        )
    if kind == TENSOR and plugin in ("scalars", ""):
        found = None
        with contextlib.suppress(ValueError, IndexError):  # Else it is no tensor.
            found = _read_scalar(data, *held)
        if found is not None and (plugin or not metadata):
            return SummaryValue(name, SCALAR, start, end, plugin, metadata, *found)
    if kind == TENSOR and plugin not in ("scalars", *_KINDS.values()):
        kind = _KINDS.get(plugin, plugin or TENSOR)
    return SummaryValue(name, kind, start, end, plugin, metadata)


def plugin_of(metadata: bytes) -> str:
    """The name of the plugin in a SummaryMetadata; empty without one."""
    for number, wire, _, begin, stop in read_fields(metadata, 0, len(metadata)):
        if number == 1 and wire == BYTES:
            for inner, _, _, first, last in read_fields(metadata, begin, stop):
                if inner == 1:
                    return metadata[first:last].decode("utf-8", "backslashreplace")
    return ""


def _read_scalar(data: bytes, start: int, end: int) -> tuple[float, int, str] | None:
    """(number, where its bytes are or -1, their format) of a tensor of one number; None for any other."""
    dtype, held = 0, None
    for number, wire, _, begin, stop in read_fields(data, start, end):
        if number == 1 and wire == VARINT:
            dtype = read_varint(data, begin)[0]
        elif number == _SHAPE and wire == BYTES:
            if not _holds_one(data, begin, stop):
                return None
        elif number in (_CONTENT, _FLOATS, _DOUBLES, _INTS, _INT64S):
            if held is not None:
                return None
            held = (number, wire, begin, stop)
    if dtype not in _FORMATS:
        return None
    if held is None:  # A zero that is left out.
        return 0.0, -1, _FORMATS[dtype]
    number, wire, begin, stop = held
    if number in (_INTS, _INT64S):
        value, at = read_varint(data, begin)
        return (float(as_signed(value)), -1, "") if at == stop else None
    form = _FORMATS[dtype] if number == _CONTENT else "<f" if number == _FLOATS else "<d"
    if wire not in (BYTES, FIXED32, FIXED64) or stop - begin != struct.calcsize(form):
        return None
    return float(struct.unpack_from(form, data, begin)[0]), begin, form


def _holds_one(data: bytes, start: int, end: int) -> bool:
    """Whether a TensorShapeProto is that of one number."""
    for number, wire, _, begin, stop in read_fields(data, start, end):
        if number == 2 and wire == BYTES:
            for inner, _, _, first, _ in read_fields(data, begin, stop):
                if inner == 1 and read_varint(data, first)[0] != 1:
                    return False
    return True
