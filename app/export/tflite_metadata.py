"""The description of a detector that TensorFlow Lite's task libraries read from a `.tflite` file.

The tables and the numbers of their fields are those of `metadata_schema.fbs` (tensorflow/tflite-support, v0.4.4). The
package that has them generated, tflite-support, is not built for newer Pythons; these few are written by hand.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flatbuffers

from app.detection.sidecar_files import TFLITE_LABELS

IDENTIFIER = b"M001"
NAME = "TFLITE_METADATA"
"""The metadata entry of a model whose buffer holds this description."""

IMAGE, BOXES, FEATURE = 2, 3, 1  # union ContentProperties
NORMALIZATION = 1  # union ProcessUnitOptions
RGB = 1  # enum ColorSpaceType
BOUNDARIES, RATIO = 1, 0  # enums BoundingBoxType, CoordinateType
VALUE_LABELS = 3  # enum AssociatedFileType: TENSOR_VALUE_LABELS
YMIN_XMIN_YMAX_XMAX = (1, 0, 3, 2)
"""Where left, top, right and bottom are in a box."""


def describe(*, name: str, mean: Sequence[float], std: Sequence[float]) -> bytes:
    """The ModelMetadata of a detector in the order of outputs boxes, classes, scores, count.

    The input is (pixel - `mean`) / `std`, a figure a channel.
    """
    writer = _Writer()
    lowest, highest = ([(level - m) / s for m, s in zip(mean, std, strict=True)] for level in (0.0, 255.0))
    content = writer.table((0, "uint8", IMAGE), (1, "offset", writer.table((0, "int8", RGB))))
    unit = writer.table(
        (0, "uint8", NORMALIZATION),
        (1, "offset", writer.table((0, "offset", writer.floats(mean)), (1, "offset", writer.floats(std)))),
    )
    stats = writer.table((0, "offset", writer.floats(highest)), (1, "offset", writer.floats(lowest)))
    image = writer.table(
        (0, "offset", writer.text("image")),
        (1, "offset", writer.text("RGB image, resized, then (pixel - mean) / std")),
        (3, "offset", content),
        (4, "offset", writer.offsets([unit])),
        (5, "offset", stats),
    )
    graph = writer.table(
        (2, "offset", writer.offsets([image])),
        (3, "offset", writer.offsets(_outputs(writer))),
        (8, "offset", writer.offsets([_group(writer)])),
    )
    return writer.finish(
        (0, "offset", writer.text(name)),
        (1, "offset", writer.text("Detects objects: boxes ymin, xmin, ymax, xmax from 0 to 1, classes from 0")),
        (3, "offset", writer.offsets([graph])),
        (7, "offset", writer.text("1.2.0")),
    )


def _outputs(writer: "_Writer") -> list[int]:
    # Names as tflite-support's writer of object detectors gives them: its readers look for these.
    index = writer.integers(YMIN_XMIN_YMAX_XMAX)
    properties = writer.table((0, "offset", index), (1, "int8", BOUNDARIES), (2, "int8", RATIO))
    labels = writer.table(
        (0, "offset", writer.text(TFLITE_LABELS)),
        (1, "offset", writer.text("names of the classes")),
        (2, "int8", VALUE_LABELS),
    )
    # A box has its content for each of its four numbers: the range 2..2 is the last dimension.
    per_value = writer.table((0, "int32", 2), (1, "int32", 2))
    boxes = writer.table((0, "uint8", BOXES), (1, "offset", properties), (2, "offset", per_value))
    fields = [
        ("location", boxes, None),
        ("category", _feature(writer, ranged=True), labels),
        ("score", _feature(writer, ranged=True), None),
        ("number of detections", _feature(writer, ranged=False), None),
    ]
    tensors = []
    for name, content, file in fields:
        parts: list[tuple[int, str, int]] = [(0, "offset", writer.text(name)), (3, "offset", content)]
        if file is not None:
            parts.append((6, "offset", writer.offsets([file])))
        tensors.append(writer.table(*parts))
    return tensors


def _feature(writer: "_Writer", *, ranged: bool) -> int:
    properties = writer.table()
    parts: list[tuple[int, str, int]] = [(0, "uint8", FEATURE), (1, "offset", properties)]
    if ranged:
        parts.append((2, "offset", writer.table((0, "int32", 2), (1, "int32", 2))))
    return writer.table(*parts)


def _group(writer: "_Writer") -> int:
    names = writer.offsets([writer.text(name) for name in ("location", "category", "score")])
    return writer.table((0, "offset", writer.text("detection_result")), (1, "offset", names))


class _Writer:
    """Flatbuffer tables by the numbers of their fields."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)
        add = {
            "offset": self._builder.PrependUOffsetTRelativeSlot,
            "uint8": self._builder.PrependUint8Slot,
            "int8": self._builder.PrependInt8Slot,
            "int32": self._builder.PrependInt32Slot,
        }
        self._add: Mapping[str, Callable[[int, Any, int], None]] = add

    def table(self, *fields: tuple[int, str, int]) -> int:
        """A table of (number, kind, value) fields; a value of 0 is the default and left out."""
        self._builder.StartObject(max((number for number, _, _ in fields), default=0) + 1)
        for number, kind, value in fields:
            self._add[kind](number, value, 0)
        return self._builder.EndObject()

    def text(self, value: str) -> int:
        return self._builder.CreateString(value)

    def floats(self, values: Sequence[float]) -> int:
        return self._vector(values, self._builder.PrependFloat32)

    def integers(self, values: Sequence[int]) -> int:
        return self._vector(values, self._builder.PrependUint32)

    def offsets(self, values: Sequence[int]) -> int:
        return self._vector(values, self._builder.PrependUOffsetTRelative)

    def _vector(self, values: Sequence[Any], prepend: Callable[[Any], None]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            prepend(value)
        return self._builder.EndVector()

    def finish(self, *fields: tuple[int, str, int]) -> bytes:
        """The bytes of the buffer, whose root is a table of these fields."""
        self._builder.Finish(self.table(*fields), IDENTIFIER)
        return bytes(self._builder.Output())
