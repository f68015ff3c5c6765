"""The memory that a training process has: of its smallest GPU, or of the host (or container) without one."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.machine import gpus

QUERY = ["nvidia-smi", "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits"]
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""A container's limit, in version 2 and 1 of cgroups."""


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
    return Memory(min(sizes), "GPU") if sizes else Memory(host_memory(), "host")


def host_memory(cgroups: tuple[str, ...] = CGROUPS) -> int:
    """Bytes of the host's memory, or of the container's share of it."""
    import psutil

    limits = [int(text) for path in cgroups if (text := _text(path)).isdigit()]
    return min([psutil.virtual_memory().total, *limits])


def _gpu_sizes(ask: Callable[[list[str]], str | None]) -> dict[str, int]:
    """UUIDs to bytes; nvidia-smi gives MiB."""
    pairs = re.findall(r"^(\S+), *(\d+)$", ask(QUERY) or "", re.MULTILINE)
    return {uuid: int(size) << 20 for uuid, size in pairs}


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
