"""The index of a TF2 checkpoint, read without TensorFlow: which tensors it has, of what shape and size.

An index is an uncompressed LSM table (tensorflow/core/lib/io/format.h): blocks of entries whose keys share
prefixes, an index block of the blocks, and a footer. Its values are BundleEntryProto
(tensorflow/core/protobuf/tensor_bundle.proto): 2 is the shape, 5 the size in bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = bytes.fromhex("57fb808b247547db")
"""The last eight bytes of every index."""

FOOTER = 48
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
"""What the key of a variable's value ends with."""

LARGEST = 256 << 20
"""No index is so large: those of the zoo have 20 kB to 1 MB."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a checkpoint: its shape, and the bytes it takes in the .data files."""

    shape: tuple[int, ...]
    size: int


def read(prefix: str) -> dict[str, Tensor] | None:
    """Keys of the checkpoint `prefix` with their tensors; None where there is no index, or not a whole one."""
    path = Path(f"{prefix}.index")
    try:
        if path.stat().st_size > LARGEST:
            return None
        data = path.read_bytes()
        return dict(_tensors(data)) if data[-8:] == MAGIC else None
    except (OSError, IndexError, UnicodeDecodeError, ValueError):
        return None


def _tensors(data: bytes) -> Iterator[tuple[str, Tensor]]:
    place = len(data) - FOOTER
    for _ in range(2):  # The place of the metaindex, which is empty.
        _, place = _varint(data, place)
    for _, handle in _entries(data, *_handle(data, place)):
        for key, value in _entries(data, *_handle(handle, 0)):
            # The first entry, without a key, is the bundle's header.
            if key:
                yield key.decode("utf-8"), _tensor(value)


def _handle(data: bytes, place: int) -> tuple[int, int]:
    """Where a block is: its offset and size."""
    offset, place = _varint(data, place)
    return offset, _varint(data, place)[0]


def _entries(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; the byte after it must say that it is not compressed."""
    if offset + size >= len(data) or data[offset + size] != 0:
        raise ValueError("block is cut short or compressed")
    block = data[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    place, end, key = 0, len(block) - 4 * (restarts + 1), b""
    while place < end:
        shared, place = _varint(block, place)
        own, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place : place + own]
        place += own
        yield key, block[place : place + length]
        place += length


def _tensor(value: bytes) -> Tensor:
    shape: tuple[int, ...] = ()
    size = 0
    for number, field in _fields(value):
        if number == 2 and isinstance(field, bytes):
            # TensorShapeProto: 2 is a dimension, of which 1 is the size.
            dims = [dict(_fields(dim)) for which, dim in _fields(field) if which == 2 and isinstance(dim, bytes)]
            shape = tuple(int(dim.get(1, 0)) for dim in dims)
        elif number == 5 and isinstance(field, int):
            size = field
    return Tensor(shape, size)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protobuf message's fields, in order."""
    place = 0
    value: int | bytes
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(message, place)
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            value, place = int.from_bytes(message[place : place + width], "little"), place + width
        elif kind == 2:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, value


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at `place`, seven bits a byte, and the place after it."""
    number = shift = 0
    while True:
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, place
        if shift > 63:
            raise ValueError("number is too long")
