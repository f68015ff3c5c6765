"""What a GPU of a given compute capability and driver will do with the libraries that detbox locks.

TensorFlow, cuDNN and cuBLAS must each have code for it: machine code (cubin), which runs on the same major version from
its minor version on, or PTX, which the driver compiles for its version and every later one (CUDA C++ Programming Guide,
"Binary Compatibility" and "PTX Compatibility"). Which code they have is in device_code.json, read from the wheels by
scripts/scan-cuda-wheels.
"""

from __future__ import annotations  # A host's own Python reads this as well.

import functools
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

Version = tuple[int, ...]

DRIVER_OF_CUDA_12: Version = (525, 60, 13)
"""The oldest driver on which any CUDA 12 runs (CUDA Compatibility, "Minor Version Compatibility")."""
DRIVERS_OF_PTX: dict[Version, Version] = {(8, 5): (555, 42, 2)}
"""By the version of PTX, the driver of the CUDA that brought it (here 12.5): none older can compile it."""
REPORTED = {12: "CUDA_ERROR_INVALID_PTX, github.com/tensorflow/tensorflow/issues/89272 and /111958"}
"""By major version of the compute capability, what users report instead of kernels that are compiled and run."""
OTHER_GPU = "another GPU, or train on the CPU: CUDA_VISIBLE_DEVICES=-1"
NAMES = {"tensorflow": "TensorFlow", "nvidia-cudnn-cu12": "cuDNN", "nvidia-cublas-cu12": "cuBLAS"}

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
        capability, driver = version_text(self.compute_capability), driver_text(self.driver)
        return f"{self.name}, compute capability {capability}, driver {driver}"


@dataclass(frozen=True)
class GpuSupport:
    """What will happen on a GPU, and what to do about it.

    `kind`: `native`, `compiled` at first use, `reported` as not working though it should be compiled, or `none`.
    """

    kind: Literal["native", "compiled", "reported", "none"]
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class DeviceCode:
    """What a locked package has code for: capabilities of its machine code, and PTX of a version of that language."""

    package: str
    version: str
    machine_code: tuple[Version, ...]
    ptx: Version | None
    ptx_version: Version | None

    def __str__(self) -> str:
        return f"{NAMES[self.package]} {version_text(_version(self.version)[:2])}"

    def is_native(self, capability: Version) -> bool:
        return any(code[0] == capability[0] and code <= capability for code in self.machine_code)

    def is_compiled(self, capability: Version) -> bool:
        return self.ptx is not None and self.ptx <= capability


@functools.cache
def device_code() -> tuple[DeviceCode, ...]:
    """TensorFlow's, cuDNN's and cuBLAS' code, as scripts/scan-cuda-wheels found it."""
    table = json.loads(resources.files(__package__).joinpath("device_code.json").read_text(encoding="utf-8"))
    return tuple(
        DeviceCode(
            package,
            found["version"],
            tuple(_version(text) for text in found["machine_code"]),
            _version(found["ptx"]) if found["ptx"] else None,
            _version(found["ptx_version"]) if found["ptx_version"] else None,
        )
        for package, found in table.items()
    )


def gpu_support(gpu: Gpu) -> GpuSupport:
    """What the locked libraries will do on `gpu`."""
    capability = version_text(gpu.compute_capability)
    compiled = [code for code in device_code() if not code.is_native(gpu.compute_capability)]
    if missing := [code for code in compiled if not code.is_compiled(gpu.compute_capability)]:
        names = " and ".join(map(str, missing))
        have = "has" if len(missing) == 1 else "have"
        return GpuSupport("none", f"not at all: {names} {have} no code for compute capability {capability}", OTHER_GPU)
    if gpu.driver < DRIVER_OF_CUDA_12:
        text = f"not at all: driver {driver_text(gpu.driver)} is too old for CUDA 12"
        return GpuSupport("none", text, _install(_driver_of_ptx()))
    if not compiled:
        return GpuSupport("native", "native")
    names = " and ".join(map(str, compiled))
    if gpu.driver < _driver_of_ptx():
        text = f"{names} lacks kernels for {capability}, and driver {driver_text(gpu.driver)} can't compile them"
        return GpuSupport("none", f"not at all: {text}", _install(_driver_of_ptx()))
    if report := REPORTED.get(gpu.compute_capability[0]):
        text = f"reported as not working: {names} lacks kernels for {capability}, and compiling them fails ({report})"
        return GpuSupport("reported", text, f"`detbox doctor` tries one; {OTHER_GPU}")
    return GpuSupport(
        "compiled",
        f"{names} lacks kernels for {capability}: the driver compiles them at first use, some minutes",
        "keep what it compiles: CUDA_CACHE_PATH on a volume, CUDA_CACHE_MAXSIZE=4294967296",
    )


def output(argv: list[str], seconds: float = 60) -> str | None:
    """The stdout of a command, or None if it is not there, fails, or takes so many seconds."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=seconds, check=True)
        return done.stdout
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


def _driver_of_ptx() -> Version:
    """The oldest driver that compiles every package's PTX."""
    return max(DRIVERS_OF_PTX[code.ptx_version] for code in device_code() if code.ptx_version)


def _install(driver: Version) -> str:
    return f"install driver {driver_text(driver)} or newer on the host"


def _version(text: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def version_text(version: Version) -> str:
    """A version with dots: `8.9`."""
    return ".".join(str(part) for part in version)


def driver_text(version: Version) -> str:
    """A driver's version as NVIDIA writes it: 525.60.13, 555.42.02."""
    return ".".join(f"{part:02d}" for part in version)
