"""The cores that this process may use."""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable_cores(cgroups: Path = CGROUPS) -> int:
    """Cores by affinity, or what a container's quota (cgroups, version 2 or 1) comes to, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroups / "cpu.max") or _quota(cgroups / "cpu/cpu.cfs_quota_us", cgroups / "cpu/cpu.cfs_period_us")
    return min(cores, math.ceil(quota)) if quota else cores


def _quota(*paths: Path) -> float | None:
    """Microseconds of computing by microseconds of time; None without a quota (`max`, -1) or such files."""
    try:
        quota, period = " ".join(path.read_text() for path in paths).split()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
