"""The signs that memory ran out: what libraries raise, and what the kernel counts when it ends a process."""

import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

from app.machine import memory

LONGEST = 200
"""Characters of what an error says that are told."""
OF_DISKS = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))
"""What TensorFlow says of a full disk, by the same class of error."""
COUNTERS = ("memory.events", "memory.oom_control")
"""Where a cgroup counts the processes that were ended, in version 2 and 1."""
OF_HOST = Path("/proc/vmstat")
WORDS = re.compile(
    r"CUDA_ERROR_OUT_OF_MEMORY|RESOURCE_EXHAUSTED|OOM when allocating|STATUS_ALLOC_FAILED|bad_alloc"
    r"|[Oo]ut of (?:device |GPU )?memory|[Ff]ailed to allocate (?:memory|request)|failed to (?:allocate|map segment)"
    r"|Cannot allocate memory|can't start new thread"
)
"""What errors of other kinds say that are the same: of CUDA, its libraries, XLA, the loader of shared objects."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is owed to memory, the GPU's or the host's. TensorFlow's classes are known by name."""
    if any(words in str(error) for words in OF_DISKS):
        return False
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    named = type(error).__name__ in ("InternalError", "UnknownError", "AbortedError", "FailedPreconditionError")
    return (named or isinstance(error, RuntimeError | ImportError | OSError)) and bool(WORDS.search(str(error)))


def describe(error: BaseException) -> str:
    """The line of an error's message that says so: in TensorFlow's it is not the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no memory left"]
    return next((line for line in lines if WORDS.search(line)), lines[0])[:LONGEST]


def count_kills(folders: tuple[Path, ...] | None = None, of_host: Path = OF_HOST) -> int:
    """How many processes the kernel has ended for memory so far, of this one's cgroups; without any, of the host."""
    folders = memory.cgroup_folders() if folders is None else folders
    counts = [count for folder in folders for name in COUNTERS if (count := _count(folder / name)) is not None]
    return sum(counts) if counts else _count(of_host) or 0


def is_told(lines: Iterable[str]) -> bool:
    """Whether one of the last lines of a process that aborted says so."""
    return any(WORDS.search(line) for line in lines)


def _count(path: Path) -> int | None:
    try:
        found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None
