"""What a GPU of a given compute capability and driver will do with the TensorFlow that detbox locks.

    compute capability      cards, for example                TensorFlow 2.21
    below 6.0               Maxwell (GTX 900, M40)            not at all
    6.0 to 8.9              P100, V100, T4, A100, L4, RTX 40  native: kernels are in the wheel
    9.0 and up              H100, H200, B200, RTX 50          compiled by the driver at first use, then cached

The wheel has machine code (cubin) for 6.0, 7.0, 8.0 and 8.9, and PTX for 9.0. Machine code runs on the same major
version from its minor version on; PTX is compiled by the driver for its version and every later one
(CUDA C++ Programming Guide, "Binary Compatibility" and "PTX Compatibility").
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Version = tuple[int, ...]

MACHINE_CODE: tuple[Version, ...] = ((6, 0), (7, 0), (8, 0), (8, 9))
PTX: Version = (9, 0)
DRIVER_OF_CUDA_12: Version = (525, 60, 13)
"""The oldest driver on which any CUDA 12 runs (CUDA Compatibility, "Minor Version Compatibility")."""
DRIVER_OF_PTX: Version = (555, 42, 2)
"""The driver of CUDA 12.5, which made the PTX: an older one can't compile it, whatever minor versions allow."""

QUERY = ["nvidia-smi", "--query-gpu=index,uuid,name,compute_cap,driver_version", "--format=csv,noheader"]


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver describes it."""

    index: int
    uuid: str
    name: str
    compute_capability: Version
    driver: Version

    def __str__(self) -> str:
        capability, driver = _text(self.compute_capability), _driver_text(self.driver)
        return f"{self.name}, compute capability {capability}, driver {driver}"


@dataclass(frozen=True)
class GpuSupport:
    """What will happen on a GPU: `native`, `compiled` at first use, or `none`; and what to do about it."""

    kind: Literal["native", "compiled", "none"]
    text: str
    remedy: str = ""


def gpu_support(gpu: Gpu) -> GpuSupport:
    """What TensorFlow will do on `gpu`."""
    capability = _text(gpu.compute_capability)
    oldest = _text(MACHINE_CODE[0])
    if gpu.compute_capability < MACHINE_CODE[0]:
        text = f"not at all: TensorFlow needs compute capability {oldest}, it has {capability}"
        return GpuSupport("none", text, "another GPU, or train on the CPU: CUDA_VISIBLE_DEVICES=-1")
    if gpu.driver < DRIVER_OF_CUDA_12:
        text = f"not at all: driver {_driver_text(gpu.driver)} is too old for CUDA 12"
        return GpuSupport("none", text, f"install driver {_driver_text(DRIVER_OF_PTX)} or newer on the host")
    if any(_runs_on(code, gpu.compute_capability) for code in MACHINE_CODE):
        return GpuSupport("native", "native")
    if gpu.driver < DRIVER_OF_PTX:
        text = (
            f"not at all: TensorFlow has no kernels for {capability}, "
            f"and driver {_driver_text(gpu.driver)} is too old to compile them"
        )
        return GpuSupport("none", text, f"install driver {_driver_text(DRIVER_OF_PTX)} or newer on the host")
    return GpuSupport(
        "compiled",
        f"TensorFlow has no kernels for {capability}: the driver compiles them at first use, some minutes",
        "keep what it compiles: CUDA_CACHE_PATH on a volume, CUDA_CACHE_MAXSIZE=4294967296",
    )


def output(argv: list[str]) -> str | None:
    """The stdout of a command, or None if it is not there, fails, or takes a minute."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def describe_gpus(
    ask: Callable[[list[str]], str | None] = output, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """A line for each GPU that this process will see: what it is, and what will happen on it."""
    lines = []
    for gpu in visible(read_gpus(ask), environ):
        support = gpu_support(gpu)
        lines.append(f"{gpu.index}: {gpu} | {support.text}" + (f" -> {support.remedy}" if support.remedy else ""))
    return lines


def read_gpus(ask: Callable[[list[str]], str | None] = output) -> list[Gpu]:
    """The GPUs that the driver lists; `ask` runs a command and gives its stdout, or None if it failed."""
    found = []
    for line in (ask(QUERY) or "").splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 5 and cells[0].isdigit() and re.match(r"\d+\.\d", cells[3]):
            found.append(Gpu(int(cells[0]), cells[1], cells[2], _version(cells[3]), _version(cells[4])))
    return found


def visible(gpus: Sequence[Gpu], environ: Mapping[str, str]) -> list[Gpu]:
    """Those of `gpus` that CUDA_VISIBLE_DEVICES leaves to a process, in its order.

    As CUDA reads it: indices or beginnings of UUIDs, up to the first that is neither; unset means all.
    """
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return list(gpus)
    chosen = []
    for word in (word.strip() for word in given.split(",")):
        match = [gpu for gpu in gpus if word and (str(gpu.index) == word or gpu.uuid.startswith(word))]
        if not match:
            break
        chosen.append(match[0])
    return chosen


def library_faults(requires: Iterable[str], installed: Mapping[str, str]) -> list[str]:
    """What `installed` (package -> version) lacks of TensorFlow's extra `and-cuda`, given its requirements."""
    from packaging.requirements import Requirement

    faults = []
    for wanted in map(Requirement, requires):
        marker = wanted.marker
        if not wanted.name.startswith("nvidia-") or marker is None or not marker.evaluate({"extra": "and-cuda"}):
            continue
        version = installed.get(wanted.name)
        if version is None:
            faults.append(f"{wanted.name} is not installed")
        elif version not in wanted.specifier:
            faults.append(f"{wanted.name} is {version}, TensorFlow asks for {wanted.specifier}")
    return faults


def _runs_on(code: Version, capability: Version) -> bool:
    return code[0] == capability[0] and code <= capability


def _version(text: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)


def _driver_text(version: Version) -> str:
    """A driver's version as NVIDIA writes it: 525.60.13, 555.42.02."""
    return ".".join(f"{part:02d}" for part in version)
