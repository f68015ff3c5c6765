"""The memory that a training process has: of its smallest GPU, or of the host, its cgroup or itself without one."""

from __future__ import annotations  # A host's own Python reads this as well.

import os
import re
import resource
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.machine import gpus

QUERY = ["nvidia-smi", "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits"]
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
MEMINFO = Path("/proc/meminfo")
LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")
"""A cgroup's limit, in version 2 and 1."""
USAGE_FILES = ("memory.current", "memory.usage_in_bytes")
PROCESS_LIMITS = ("RLIMIT_AS", "RLIMIT_DATA")


@dataclass(frozen=True)
class Memory:
    """Bytes of memory, and of what: `GPU` or `host`."""

    size: int
    of: str


def training_memory(
    ask: Callable[[list[str]], str | None] = gpus.output, environ: Mapping[str, str] = os.environ
) -> Memory:
    """The memory that training in this environment will have."""
    visible = {gpu.uuid for gpu in gpus.visible(gpus.read_gpus(ask), environ)}
    sizes = [size for uuid, size in _gpu_sizes(ask).items() if uuid in visible] if visible else []
    return Memory(min(sizes), "GPU") if sizes else Memory(min([host_memory(), *process_limits().values()]), "host")


def host_memory(folders: tuple[Path, ...] | None = None, meminfo: Path = MEMINFO) -> int:
    """Bytes of the host's memory, or of the container's share of it. `folders`: of the cgroups that hold for it."""
    limits = [limit for folder in _folders(folders) if (limit := _number(folder, LIMIT_FILES)) is not None]
    return min([system_memory(meminfo)[0], *limits])


def free_memory(folders: tuple[Path, ...] | None = None, meminfo: Path = MEMINFO) -> int:
    """Bytes that are free for another process of the host, or of the container. Cached files make room."""
    free = [system_memory(meminfo)[1]]
    for folder in _folders(folders):
        limit, used = _number(folder, LIMIT_FILES), _number(folder, USAGE_FILES)
        if limit is not None and used is not None:
            free.append(limit - used + _cached(folder))
    return max(min(free), 0)


def system_memory(meminfo: Path = MEMINFO) -> tuple[int, int]:
    """Bytes of the machine's memory, and of what is available of it, whatever limits hold."""
    kilobytes = dict(re.findall(r"^(\w+): +(\d+) kB$", _text(meminfo), re.MULTILINE))
    if {"MemTotal", "MemAvailable"} <= set(kilobytes):
        return int(kilobytes["MemTotal"]) << 10, int(kilobytes["MemAvailable"]) << 10
    import psutil  # macOS has no such file.

    memory = psutil.virtual_memory()
    return memory.total, memory.available


def process_limits() -> dict[str, int]:
    """Bytes that each process may have, by the name of the limit that says so."""
    soft = {name: resource.getrlimit(getattr(resource, name))[0] for name in PROCESS_LIMITS}
    return {name: limit for name, limit in soft.items() if limit != resource.RLIM_INFINITY}


def lower_process_limits(share: float) -> None:
    """Has this process do with a share of what it may have."""
    for name, limit in process_limits().items():
        number = getattr(resource, name)
        resource.setrlimit(number, (int(limit * share), resource.getrlimit(number)[1]))


def cgroup_folders(membership: Path = MEMBERSHIP, root: Path = CGROUPS) -> tuple[Path, ...]:
    """The folders of the cgroups whose limits hold for this process, its own first, of both versions.

    In a container they are its root, whatever the host calls them.
    """
    found: dict[Path, None] = {}
    for line in _text(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root
        own = top if ".." in path else top / path.strip("/")  # A cgroup that is not seen from here.
        found |= dict.fromkeys(folder for folder in (own, *own.parents) if folder.is_relative_to(top))
    return tuple(folder for folder in found | {root: None, root / "memory": None} if folder.is_dir())


def _folders(given: tuple[Path, ...] | None) -> tuple[Path, ...]:
    return cgroup_folders() if given is None else given


def _cached(folder: Path) -> int:
    """Bytes of files that the cgroup has in memory, and can do without."""
    counts = dict(re.findall(r"^(\w+) (\d+)$", _text(folder / "memory.stat"), re.MULTILINE))
    names = (
        ("total_inactive_file", "total_active_file") if "total_cache" in counts else ("inactive_file", "active_file")
    )
    return sum(int(counts.get(name, 0)) for name in names)


def _gpu_sizes(ask: Callable[[list[str]], str | None]) -> dict[str, int]:
    """UUIDs to bytes; nvidia-smi gives MiB."""
    pairs = re.findall(r"^(\S+), *(\d+)$", ask(QUERY) or "", re.MULTILINE)
    return {uuid: int(size) << 20 for uuid, size in pairs}


def _number(folder: Path, names: tuple[str, ...]) -> int | None:
    return next(_numbers(folder, names), None)


def _numbers(folder: Path, names: tuple[str, ...]) -> Iterator[int]:
    for name in names:
        if (text := _text(folder / name)).isdigit():
            yield int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
