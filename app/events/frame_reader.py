"""The records of an event file, whatever has become of the file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.tfrecord import FOOTER, HEADER, LENGTH_MAX, OVERHEAD, is_header, masked_crc

CHUNK = 1 << 20
"""Bytes read at once."""
_MAY_BE_HEADER = re.compile(rb"(?s)(?=(?:[^\0]...|\0[^\0]..|\0\0[^\0].|\0\0\0[^\0])(?:\0{4}))")
"""A length that is neither 0 nor above 32 bits: what is looked at for the next record after a damaged one."""


@dataclass(frozen=True)
class Fault:
    """Bytes that are no record: from `offset` on. `is_tail`: to the end of the file, as a killed writer leaves them."""

    offset: int
    size: int
    is_tail: bool


class FrameReader:
    """Iterates (offset, data) of the records whose checksums are right; `faults` has what lies between them.

    After a damaged record the next one is looked for. Memory is that of the largest record and `CHUNK`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.faults: list[Fault] = []
        self.size = 0
        """Bytes that were read."""

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        with open(self.path, "rb", buffering=0) as file:
            yield from self._frames(file)

    def _frames(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        buffer, base, at = b"", 0, 0
        lengths: dict[bytes, int] = {}
        header_size, footer, crc = HEADER.size, FOOTER.unpack_from, masked_crc
        while True:
            head = buffer[at : at + header_size]
            length = lengths.get(head)
            if length is None:
                if len(head) < header_size:
                    more = file.read(CHUNK)
                    if more:
                        buffer, base, at = buffer[at:] + more, base + at, 0
                        continue
                    if head:
                        self._add_fault(base + at, len(head), is_tail=True)
                    self.size = base + len(buffer)
                    return
                length = HEADER.unpack(head)[0] if is_header(head) else -1
                if not 0 <= length <= LENGTH_MAX:
                    found = self._find_next(file, base + at + 1)
                    if found is None:
                        return
                    buffer, base, at = b"", found, 0
                    file.seek(found)
                    continue
                if len(lengths) < 10_000:
                    lengths[head] = length
            begin = at + header_size
            end = begin + length
            if len(buffer) < end + 4:
                more = _read(file, max(CHUNK, end + 4 - len(buffer)))
                buffer, base, at, begin, end = buffer[at:] + more, base + at, 0, header_size, header_size + length
                if len(buffer) < end + 4:  # The record is longer than what is left.
                    found = self._find_next(file, base + 1, damaged_from=base)
                    if found is None:
                        return
                    buffer, base, at = b"", found, 0
                    file.seek(found)
                    continue
            data = buffer[begin:end]
            if footer(buffer, end)[0] == crc(data):
                yield base + at, data
                at = end + 4
                continue
            # Where its length is right the next record follows; where bytes are missing it lies within.
            follows = buffer[end + 4 : end + 4 + header_size]
            if len(follows) < header_size:
                more = file.read(CHUNK)
                buffer += more
                follows = buffer[end + 4 : end + 4 + header_size]
            if not follows or is_header(follows):
                self._add_fault(base + at, length + OVERHEAD, is_tail=not follows)
                at = end + 4
                continue
            found = self._find_next(file, base + at + 1, damaged_from=base + at)
            if found is None:
                return
            buffer, base, at = b"", found, 0
            file.seek(found)

    def _find_next(self, file: BinaryIO, start: int, damaged_from: int | None = None) -> int | None:
        """The offset of the first header at or after `start`; None without any: the rest of the file is a fault."""
        begin = start - 1 if damaged_from is None else damaged_from
        file.seek(start)
        base, buffer = start, _read(file, CHUNK)
        while True:
            for match in _MAY_BE_HEADER.finditer(buffer, 0, len(buffer)):
                at = match.start()
                if is_header(buffer[at : at + HEADER.size]):
                    self._add_fault(begin, base + at - begin, is_tail=False)
                    return base + at
            more = _read(file, CHUNK)
            if not more:
                self.size = base + len(buffer)
                self._add_fault(begin, self.size - begin, is_tail=True)
                return None
            keep = HEADER.size - 1
            base, buffer = base + max(len(buffer) - keep, 0), buffer[-keep:] + more

    def _add_fault(self, offset: int, size: int, *, is_tail: bool) -> None:
        last = self.faults[-1] if self.faults else None
        if last and last.offset + last.size == offset:
            self.faults.pop()
            offset, size = last.offset, last.size + size
        self.faults.append(Fault(offset, size, is_tail))


def _read(file: BinaryIO, size: int) -> bytes:
    """So many bytes, or what is left: an unbuffered file may give fewer at once."""
    parts, left = [], size
    while left and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
