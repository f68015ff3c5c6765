"""Checks of a host that is to run the containers, before anything is pulled or built.

Needs Python 3.9 and its standard library alone: `scripts/doctor-host` in a clone, or `detbox doctor --host`.
"""

from __future__ import annotations  # The host's own Python reads this, without a package of ours.

import dataclasses
import json
import platform
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from app.machine import compose_project, container_engine, gpus, memory
from app.machine.diagnosis import Check, Diagnosis, first_remedies
from app.machine.host import Host
from app.terminal_text import escape_controls, escape_json

LITTLE_MEMORY = 3e9
NVIDIA = "0x10de"
DISPLAY, BRIDGE = ("0x0300", "0x0302"), ("0x0680",)
"""Beginnings of the PCI classes of GPUs, and of the switches between those with NVLink."""
IN_CONTAINER = ("/.dockerenv", "/run/.containerenv")
EARLIER = 24 * 3600
"""Seconds that a clock may be before the newest file of the clone, whatever its time zone."""
INSTALL_DRIVER = "install it: docs/operations.md, `A GPU VM from nothing`"


def diagnose(host: Host | None = None) -> Diagnosis:
    """Looks at everything; never raises for what it finds."""
    host = host or Host()
    found = gpus.read_gpus(host.output)
    checks = [check_system(host), check_clock(host), check_cgroups(host), _memory_of(host)]
    checks += [*check_gpus(host, found), *check_fabric_manager(host, found)]
    engine, more = container_engine.check_engine(host)
    project, files = compose_project.check_files(host, len(found))
    checks += [
        *more,
        *files,
        *compose_project.check_settings(host),
        *container_engine.check_toolkit(host, engine, needed=bool(found)),
    ]
    if project:
        checks += compose_project.check_project(host, engine, project)
    return Diagnosis(checks)


def check_system(host: Host) -> Check:
    """The distribution and kernel; inside of a container all else is the container's, too."""
    names = dict(re.findall(r'^(\w+)="?(.*?)"?$', host.text("/etc/os-release"), re.MULTILINE))
    kernel = host.text("/proc/sys/kernel/osrelease") or platform.release()
    text = f"{names.get('PRETTY_NAME', platform.system())}, kernel {kernel}, {platform.machine()}"
    if any(map(host.has, IN_CONTAINER)):
        return Check("system", "warn", f"{text}, in a container", "run scripts/doctor-host on the host itself")
    return Check("system", "ok", text)


def check_clock(host: Host, now: float | None = None) -> Check:
    """A clock that is wrong fails every certificate, and so every pull."""
    now = time.time() if now is None else now
    text = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    newest = Path(__file__).stat().st_mtime
    set_it = "sudo timedatectl set-ntp true"
    if now < newest - EARLIER:
        return Check("clock", "fail", f"{text} is before this clone was made", set_it)
    answer = host.output(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if answer is not None and answer.strip() == "no":
        return Check("clock", "warn", f"{text}, not synchronized", set_it)
    return Check("clock", "ok", f"{text}, synchronized" if answer and answer.strip() == "yes" else text)


def check_cgroups(host: Host) -> Check:
    """Which version limits the containers."""
    if host.has("/sys/fs/cgroup/cgroup.controllers"):
        return Check("cgroups", "ok", "version 2")
    if host.has("/sys/fs/cgroup/memory"):
        return Check("cgroups", "ok", "version 1")
    remedy = "no limit such as TRAINER_MEMORY can hold; mount /sys/fs/cgroup"
    return Check("cgroups", "warn", "no memory controller in /sys/fs/cgroup", remedy)


def check_memory(folders: tuple[Path, ...] | None = None, meminfo: Path = memory.MEMINFO) -> Check:
    """Free memory, or what the limit of a cgroup of either version leaves of it."""
    total, free = memory.host_memory(folders, meminfo), memory.free_memory(folders, meminfo)
    text = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    if total < memory.system_memory(meminfo)[0]:
        text += ", by the limit of a cgroup"
    if free < LITTLE_MEMORY:
        return Check("memory", "warn", text, "`up` takes about 3 GB: a smaller --batch_size, or more memory")
    return Check("memory", "ok", text)


def _memory_of(host: Host) -> Check:
    folders = memory.cgroup_folders(host.path("/proc/self/cgroup"), host.path("/sys/fs/cgroup"))
    return check_memory(folders, host.path("/proc/meminfo"))


def check_gpus(host: Host, found: Sequence[gpus.Gpu]) -> list[Check]:
    """Each GPU that the driver lists, by the table of gpus.py; else why it lists none."""
    if found:
        supports = [(gpu, gpus.gpu_support(gpu)) for gpu in found]
        kinds = {support.kind for _, support in supports}
        text = "; ".join(f"{gpu}: {support.text}" for gpu, support in supports)
        remedy = first_remedies(support.remedy for _, support in supports)
        return [Check("gpu", "fail" if "none" in kinds else "warn" if "reported" in kinds else "ok", text, remedy)]
    devices = _pci(host, DISPLAY)
    answer = host.ask("nvidia-smi")
    if answer.code is not None and (answer.code or devices):
        state: Literal["warn", "fail"] = "fail" if devices else "warn"
        return [Check("gpu", state, f"nvidia-smi: {answer.message}", "restart the machine, or install the driver anew")]
    if devices:
        loaded = ", nouveau is loaded in its place" if host.has("/sys/module/nouveau") else ""
        return [Check("gpu", "fail", f"{devices} of NVIDIA, without its driver{loaded}", INSTALL_DRIVER)]
    return [Check("gpu", "ok", "none: training runs on the CPU")]


def check_fabric_manager(host: Host, found: Sequence[gpus.Gpu]) -> list[Check]:
    """Between GPUs on NVSwitches nothing runs before it, and it takes a driver of its own version alone."""
    if not (_pci(host, BRIDGE) or host.has("/proc/driver/nvidia-nvswitch")):
        return []
    name, driver = "fabric manager", gpus.driver_text(found[0].driver) if found else ""
    package = f"nvidia-fabricmanager-{driver.partition('.')[0] or 'VERSION'}"
    start = "sudo systemctl enable --now nvidia-fabricmanager"
    answer = host.ask("nv-fabricmanager", "--version")
    version = re.search(r"(\d+(?:\.\d+)+)", answer.out)
    if answer.code is None or version is None:
        text = "NVSwitches are here, and nvidia-fabricmanager is not: CUDA can't start"
        return [Check(name, "fail", text, f"sudo apt-get install {package}; {start}")]
    if driver and version[1] != driver:
        text = f"version {version[1]} is not that of the driver, {driver}: it ends at once"
        return [Check(name, "fail", text, f"install {package} of version {driver}, restart the machine")]
    state = host.ask("systemctl", "is-active", "nvidia-fabricmanager")
    if state.code is not None and state.out.strip() != "active":
        return [Check(name, "fail", f"version {version[1]} is {state.out.strip() or 'not running'}", start)]
    return [Check(name, "ok", f"version {version[1]}, as the driver")]


def _pci(host: Host, classes: tuple[str, ...]) -> int:
    """How many of NVIDIA's devices have one of those classes."""
    folders = [name.rpartition("/")[0] for name in host.find("/sys/bus/pci/devices/*/vendor")]
    ours = [folder for folder in folders if host.text(f"{folder}/vendor") == NVIDIA]
    return sum(host.text(f"{folder}/class").startswith(classes) for folder in ours)


def main(arguments: Sequence[str]) -> int:
    """`--json` for machines; the exit code is that of `doctor`."""
    if set(arguments) - {"--json"}:
        print(f"doctor-host: {' '.join(arguments)!r} -> nothing, or --json", file=sys.stderr)
        return 2
    found = diagnose()
    as_json = json.dumps(dataclasses.asdict(found), indent=2)
    print(escape_json(as_json) if arguments else escape_controls(str(found), keep="\n"))
    return found.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
