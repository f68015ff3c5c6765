"""The description inside a `.tflite` file, read by the numbers of metadata_schema.fbs."""

import flatbuffers
from flatbuffers import number_types

from app.detection import sidecar_files
from app.export import tflite_metadata


class Table:
    """A flatbuffer table whose fields are read by their number."""

    def __init__(self, data: bytes, position: int):
        self._table = flatbuffers.table.Table(data, position)

    def _at(self, number: int) -> int:
        offset = self._table.Offset(4 + 2 * number)
        assert offset, f"field {number} is not there"
        return offset

    def table(self, number: int) -> "Table":
        """The table in a field."""
        return Table(self._table.Bytes, self._table.Indirect(self._table.Pos + self._at(number)))

    def tables(self, number: int) -> list["Table"]:
        """The tables of a vector."""
        offset = self._at(number)
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        return [Table(self._table.Bytes, self._table.Indirect(start + 4 * i)) for i in range(count)]

    def numbers(self, number: int, flags) -> list[float]:
        """The numbers of a vector."""
        offset = self._at(number)
        start, count = self._table.Vector(offset), self._table.VectorLen(offset)
        return [self._table.Get(flags, start + flags.bytewidth * i) for i in range(count)]

    def text(self, number: int) -> str:
        """The string in a field."""
        return self._table.String(self._at(number) + self._table.Pos).decode()

    def byte(self, number: int) -> int:
        """The 8-bit number in a field."""
        return self._table.Get(number_types.Uint8Flags, self._at(number) + self._table.Pos)


def test_a_detector_is_described_as_task_libraries_read_it():
    """How the image is normalized, what the outputs are, where the labels are, which side of a box is where."""
    data = tflite_metadata.describe(name="wheels", mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0])
    assert data[4:8] == b"M001"
    root = Table(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0))
    (graph,) = root.tables(3)
    (image,), outputs = graph.tables(2), graph.tables(3)
    options = image.tables(4)[0].table(1)
    assert root.text(0) == "wheels"
    assert options.numbers(0, number_types.Float32Flags) == [1, 2, 3]
    assert options.numbers(1, number_types.Float32Flags) == [4, 5, 6]
    assert [output.text(0) for output in outputs] == ["location", "category", "score", "number of detections"]
    assert outputs[0].table(3).table(1).numbers(0, number_types.Uint32Flags) == [1, 0, 3, 2]
    (labels,) = outputs[1].tables(6)
    assert (labels.text(0), labels.byte(2)) == (sidecar_files.TFLITE_LABELS, tflite_metadata.VALUE_LABELS)
