"""The wire format of protocol buffers, as far as it takes to find fields without parsing the rest.

https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MOST, _SIGN = (1 << 64) - 1, 1 << 63


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends. Raises ValueError, IndexError where there is none."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while shift < 70:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MOST, at + 1
        shift += 7
    raise ValueError("a number does not end")


def read_fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Each field of a message: (number, wire type, its start with its key, start and end of what it holds).

    Raises ValueError, IndexError where the bytes are no message.
    """
    at = start
    while at < end:
        key, begin = read_varint(data, at)
        kind = key & 7
        if kind == VARINT:
            _, stop = read_varint(data, begin)
        elif kind == BYTES:
            size, begin = read_varint(data, begin)
            stop = begin + size
        elif kind in (FIXED64, FIXED32):
            stop = begin + (8 if kind == FIXED64 else 4)
        else:
            raise ValueError(f"wire type {kind}")
        if stop > end:
            raise ValueError("a field is longer than its message")
        yield key >> 3, kind, at, begin, stop
        at = stop


def write_varint(value: int) -> bytes:
    """The bytes of a number that is not negative."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_field(number: int, content: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return write_varint(number << 3 | BYTES) + write_varint(len(content)) + content


def as_signed(value: int) -> int:
    """The int64 that a varint stands for; bits above the 64th count for nothing."""
    return ((value & _MOST) ^ _SIGN) - _SIGN if value >> 63 else value
