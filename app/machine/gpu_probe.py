"""Kernels that are run on each GPU, to see whether they run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 600
"""For all GPUs together: a driver that compiles kernels takes minutes at their first use."""
KERNELS = (sys.executable, "-m", "app.odapi.gpu_kernel")
COUNT = (
    sys.executable,
    "-c",
    "import ctypes; cuda, count = ctypes.CDLL('libcuda.so.1'), ctypes.c_int(); "
    "cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)); print(count.value)",
)
"""Asks CUDA's driver, which heeds CUDA_VISIBLE_DEVICES; in a process of its own, as a broken driver may hang."""
TELLING = re.compile(r"ERROR|[Ff]ailed|[Ff]atal")


@dataclass(frozen=True)
class GpuProbe:
    """What came of the kernels on a GPU: seconds, and how far from the CPU's the results are; or the error."""

    gpu: str
    seconds: float = 0.0
    difference: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Ended:
    """How a process ended; `code` is None where it took too long."""

    code: int | None
    stdout: str = ""
    stderr: str = ""


Runner = Callable[[Sequence[str], float], Ended]


def run_child(argv: Sequence[str], seconds: float) -> Ended:
    """Runs a command that finds detbox, installed or not, for some seconds at most."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]))
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, text=True,
        errors="replace",
    ) as child:  # fmt: skip
        try:
            stdout, stderr = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            return Ended(None, *child.communicate())
        except BaseException:
            child.kill()
            raise
    return Ended(child.returncode, stdout, stderr)


def count_gpus(run: Runner = run_child) -> int:
    """The GPUs that CUDA shows to this process, asked without TensorFlow and nvidia-smi; 0 without a driver."""
    text = run(COUNT, 60).stdout.strip()
    return int(text) if text.isdigit() else 0


def probe_gpus(run: Runner = run_child, seconds: float = SECONDS) -> list[GpuProbe]:
    """A probe of each GPU that TensorFlow sees, in its order, up to one that the process did not survive."""
    ended = run(KERNELS, seconds)
    probes = [GpuProbe(**json.loads(line)) for line in ended.stdout.splitlines() if line.startswith("{")]
    if ended.code is None:
        probes.append(GpuProbe(f"GPU {len(probes)}", error=f"not done after {seconds:g} s"))
    elif ended.code:
        how = f"signal {-ended.code}" if ended.code < 0 else f"exit code {ended.code}"
        probes.append(GpuProbe(f"GPU {len(probes)}", error=f"the process ended by {how}: {_told(ended.stderr)}"))
    return [_with_cause(probe, ended.stderr) for probe in probes]


def _told(stderr: str) -> str:
    """The line of a log that says most of why it ends."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["without a word"]
    return next(filter(TELLING.search, lines), lines[-1])


def _with_cause(probe: GpuProbe, stderr: str) -> GpuProbe:
    """Its error as one line, with CUDA's first error: TensorFlow warns of a kernel that does not load, then goes on."""
    if not probe.error:
        return probe
    line, cause = probe.error.strip().splitlines()[0], re.search(r"CUDA_ERROR_\w+", stderr)
    if cause and cause.group() not in line:
        line += f" (after {cause.group()})"
    return GpuProbe(probe.gpu, error=line)
