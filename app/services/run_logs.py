"""The logs of a run's services: their last lines, new lines as they come, and a bound to their size."""

import contextlib
import os
import shutil
from pathlib import Path

LOG_BYTES = 20_000_000
"""From this size on what a log holds is moved to `NAME.log.1`, so that a service's logs have twice this at most."""
LINE_BYTES = 400
"""A guess at how long a line is at most, to read no more of a log than its last lines need."""


class LogTail:
    """The whole lines of a log, from its last `count` on or from the byte `start`, as they come."""

    def __init__(self, path: Path, *, count: int = 0, start: int | None = None):
        self.path = path
        self._at = max(_size(path) - LINE_BYTES * count, 0) if start is None else start
        self._count: int | None = count if start is None else None
        self._rest = b""

    def read(self) -> list[str]:
        """The lines that have come since the last call; at the first call the last lines that were there."""
        size = _size(self.path)
        count, self._count = self._count, None
        if size < self._at:  # It was moved, and begun anew.
            self._at, self._rest = 0, b""
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as file:
            file.seek(self._at)
            new = file.read(size - self._at)
            self._at += len(new)
            *lines, self._rest = (self._rest + new).split(b"\n")
            if count is not None:
                lines = lines[-count:] if count else []
            return [line.decode("utf-8", errors="replace").rstrip("\r") for line in lines]
        return []


def bound(path: Path, limit: int = LOG_BYTES) -> bool:
    """Moves what the log holds aside if it is larger than `limit` bytes; whether it did.

    Copied and cut, not renamed: the processes that append to it have it open, and go on at its begin.
    """
    if _size(path) <= limit:
        return False
    with contextlib.suppress(OSError):  # Without room for a copy it is only cut.
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
