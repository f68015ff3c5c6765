"""Files that are compressed with gzip or zlib, read as TensorFlow's `TFRecordOptions` writes them."""

import bisect
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

_PACKED, _CHUNK = 1 << 14, 1 << 16
"""Bytes that are read at once, and unpacked at once."""
_PLACES_MAX = 1000
"""Places to go back to that a process keeps, of all files; each takes some 60 kB."""
_WBITS = {"gzip": 31, "zlib": 15}
_GZIP = b"\x1f\x8b\x08"


def kind_of(start: bytes) -> str:
    """`gzip` or `zlib`, by the first bytes of a file; else an empty string."""
    if start.startswith(_GZIP):
        return "gzip"
    # RFC 1950: deflate, a window of 32 KiB at most, the two bytes a multiple of 31.
    is_zlib = len(start) > 1 and start[0] & 15 == 8 and start[0] >> 4 <= 7 and (start[0] << 8 | start[1]) % 31 == 0
    return "zlib" if is_zlib else ""


@dataclass(frozen=True)
class _Place:
    """Where reading can go on: `at` byte of the contents, from byte `read` of the file on, in this state."""

    at: int
    read: int
    state: Any


@dataclass
class _Places:
    """The places that this process has passed, by file, `every` so many unpacked bytes: more, the more there are."""

    every: int = 1 << 18
    count: int = 0
    by_file: dict[tuple[str, int, int], list[_Place]] = field(default_factory=dict)

    def add(self, places: list[_Place], place: _Place) -> None:
        places.append(place)
        self.count += 1
        if self.count > _PLACES_MAX:
            self.every *= 2
            for some in self.by_file.values():
                kept = some[:1]
                for one in some[1:]:
                    if one.at - kept[-1].at >= self.every:
                        kept.append(one)
                some[:] = kept
            self.count = sum(len(some) - 1 for some in self.by_file.values())


_places = _Places()


class CompressedFile:
    """The contents of a compressed file, as far as they go, for reading forward and from any byte on.

    Reading from a byte on goes back to a place that was passed before, not to the start, and nothing is written.
    Raises ValueError where the file is damaged, after all that comes before it.
    """

    def __init__(self, path: Path, kind: str):
        self._file = open(path, "rb")  # noqa: SIM115
        status = path.stat()
        self._wbits, self._tail, self._buffer = _WBITS[kind], b"", b""
        start = _Place(0, 0, zlib.decompressobj(self._wbits))
        key = (str(path.absolute()), status.st_mtime_ns, status.st_size)
        self._passed = _places.by_file.setdefault(key, [start])
        self.seek(0)

    def __enter__(self) -> "CompressedFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def tell(self) -> int:
        """Bytes of the contents before what is read next."""
        return self._at - len(self._buffer)

    def seek(self, at: int) -> None:
        """Goes to byte `at` of the contents, or to their end."""
        place = self._passed[bisect.bisect_right(self._passed, at, key=lambda place: place.at) - 1]
        self._state, self._at, self._tail, self._buffer = place.state.copy(), place.at, b"", b""
        self._file.seek(place.read)
        while self.tell() < at and self.read(min(_CHUNK, at - self.tell())):
            pass

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end of what is there."""
        parts, wanted = [], size
        while wanted > 0 and (self._buffer or self._fill()):
            part, self._buffer = self._buffer[:wanted], self._buffer[wanted:]
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        """Unpacks some more into the buffer, which is empty; False at the end."""
        while not self._buffer:
            data = self._tail or self._file.read(_PACKED)
            if not data:
                if not self._state.eof:
                    raise ValueError("cut short")
                return False
            if self._state.eof:
                # Of several gzip files one after another, as `cat` joins them; zeros are what tapes fill up with.
                self._tail = data = data.lstrip(b"\0")
                if not data:
                    continue
                if not data.startswith(_GZIP[: len(data)]):
                    raise ValueError(f"followed by what is not {'gzip' if self._wbits > 15 else 'zlib'}")
                self._state = zlib.decompressobj(self._wbits)
            self._buffer = self._unpack(data)
            self._tail = self._state.unconsumed_tail or self._state.unused_data
            self._at += len(self._buffer)
            if not self._state.eof and self._at - self._passed[-1].at >= _places.every:
                read = self._file.tell() - len(self._tail)
                _places.add(self._passed, _Place(self._at, read, self._state.copy()))
        return True

    def _unpack(self, data: bytes) -> bytes:
        """Up to `_CHUNK` bytes of `data`, unpacked; fewer just before damage."""
        size = _CHUNK
        while True:
            before = self._state.copy()
            try:
                return self._state.decompress(data, size)
            except zlib.error as error:
                self._state, size = before, size // 2
                if not size:
                    raise ValueError(str(error)) from None
