"""The framing of TFRecord files, which records and event files share.

tensorflow/core/lib/io/record_writer.h: length (uint64, little endian), its masked CRC-32C, the data, the data's masked
CRC-32C.
"""

import struct

import google_crc32c

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
OVERHEAD = HEADER.size + FOOTER.size
"""Bytes of a frame besides its data."""
LENGTH_MAX = 1 << 31


def masked_crc(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(data: bytes) -> bytes:
    """`data` as one record."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, FOOTER.pack(masked_crc(length)), data, FOOTER.pack(masked_crc(data))))


def is_header(data: bytes) -> bool:
    """Whether these 12 bytes begin a record."""
    return len(data) == HEADER.size and HEADER.unpack(data)[1] == masked_crc(data[:8])
