"""Kernels on a GPU, in a process that may fail, hang or be killed."""

import sys

from app.machine import gpu_probe
from app.machine.gpu_probe import Ended, GpuProbe

FIRST = '{"gpu": "First", "seconds": 2.0, "difference": 0.0005}\n'
FAILS = '{"gpu": "Second", "error": "InternalError: no\\nmore"}\n'


def probes(ended):
    return gpu_probe.probe_gpus(lambda argv, seconds: ended, seconds=9)


def test_what_the_process_says_is_read():
    """A line for each GPU; of an error its first line, with the error of CUDA that was only a warning."""
    warning = "W tf_gpu_runtime_wrappers.cc:40] 'cuModuleLoadData' failed with 'CUDA_ERROR_INVALID_PTX'\n"
    first = GpuProbe("First", 2.0, 0.0005)
    assert probes(Ended(0)) == []
    assert probes(Ended(0, f"Hello\n{FIRST}{FAILS}")) == [first, GpuProbe("Second", error="InternalError: no")]
    (failed,) = probes(Ended(0, FAILS, warning))
    assert failed.error == "InternalError: no (after CUDA_ERROR_INVALID_PTX)"


def test_a_gpu_that_ends_the_process_is_told():
    """The GPUs before it have been told of; XLA aborts where it can't compile."""
    first, second = probes(Ended(-6, FIRST, "I started\nLLVM ERROR: PTX version 8.5 does not\n@ 0x7f frame\n"))
    assert (first.error, second.gpu) == ("", "GPU 1")
    assert "signal 6" in second.error and "LLVM ERROR" in second.error
    (late,) = probes(Ended(None))
    assert "9 s" in late.error


def test_a_process_is_ended_in_time():
    """One that hangs is killed, with what it said until then."""
    code = "import time; print('said', flush=True); time.sleep(60)"
    assert gpu_probe.run_child([sys.executable, "-c", code], 3) == Ended(None, "said\n", "")


def test_a_machine_without_cuda_has_no_gpu():
    """The driver's library is not there, or shows nothing."""
    assert gpu_probe.count_gpus(lambda argv, seconds: Ended(1, "", "OSError: libcuda.so.1")) == 0
    assert gpu_probe.count_gpus(lambda argv, seconds: Ended(0, "2\n")) == 2
