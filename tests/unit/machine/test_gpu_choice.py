"""Which GPUs a process is to train on."""

import pytest
from refusals import refused

from app.errors import SettingsError
from app.machine import gpu_choice

UUIDS = ("GPU-1a", "GPU-2b", "GPU-3c")


def machine(argv):
    """Three GPUs, the second one in use, the third cut into MIG devices."""
    if argv == gpu_choice.MEMORY:
        return "GPU-1a, 10\nGPU-2b, 30000\nGPU-3c, 5\n"
    if argv == gpu_choice.LIST:
        return "GPU 2: NVIDIA A100 (UUID: GPU-3c)\n  MIG 3g.40gb Device 0: (UUID: MIG-4d)\n"
    return "".join(f"{number}, {uuid}, NVIDIA A100, 8.0, 550.54.14\n" for number, uuid in enumerate(UUIDS))


@pytest.mark.parametrize(
    ("gpus", "seen"),
    [
        ("0,2", "GPU-1a,GPU-3c"),
        ("2, 0", "GPU-3c,GPU-1a"),
        ("1,1", "GPU-2b"),
        ("GPU-2b", "GPU-2b"),
        ("MIG-4d", "MIG-4d"),
        ("count=1", "GPU-3c"),
        ("count=2", "GPU-3c,GPU-1a"),
        ("none", "-1"),
    ],
)
def test_what_cuda_is_told(gpus, seen):
    """UUIDs, since CUDA's numbers need not be nvidia-smi's; a number of them: those with most free memory."""
    environ = {}
    gpu_choice.choose(gpus, environ, machine)
    assert environ["CUDA_VISIBLE_DEVICES"] == seen
    gpu_choice.choose(gpus, environ, machine)
    assert environ["CUDA_VISIBLE_DEVICES"] == seen


@pytest.mark.parametrize("gpus", ["3", "GPU-9", "a", "count=0", "count=4", "MIG-5e", "MIG-4d,0", "-1"])
def test_what_is_not_there_is_refused(gpus):
    """With the flag, before TensorFlow is loaded."""
    with refused(SettingsError, flag="gpus"):
        gpu_choice.choose(gpus, {}, machine)


@pytest.mark.parametrize("gpus", ["0", "count=1"])
def test_a_machine_without_gpus(gpus):
    """nvidia-smi is not there."""
    with refused(SettingsError, flag="gpus"):
        gpu_choice.choose(gpus, {}, lambda argv: None)


@pytest.mark.parametrize("kept", [{"CUDA_VISIBLE_DEVICES": "-1"}, {"CUDA_VISIBLE_DEVICES": ""}])
def test_who_is_kept_from_gpus_stays_so(kept):
    """The evaluator, and what compose's file keeps from them."""
    environ = dict(kept)
    gpu_choice.choose("0", environ, machine)
    assert environ == kept
    gpu_choice.choose("0", environ := {"NVIDIA_VISIBLE_DEVICES": "void"}, lambda argv: None)
    assert environ == {"NVIDIA_VISIBLE_DEVICES": "void"}


def test_two_choices_that_differ_are_refused():
    """CUDA_VISIBLE_DEVICES=1 beside gpus=0."""
    with refused(SettingsError, where="CUDA_VISIBLE_DEVICES=1, gpus=0", flag="gpus"):
        gpu_choice.choose("0", {"CUDA_VISIBLE_DEVICES": "1"}, machine)
