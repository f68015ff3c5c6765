"""What `doctor` finds on a machine."""

import dataclasses
import os

import pytest

from app.machine import doctor, gpu_probe
from app.machine.gpu_probe import Ended


def test_doctor_gives_the_code_of_the_worst():
    """5 for a wrong OD API, 1 for anything else that fails, 0 for warnings."""
    ok, warn = doctor.Check("a", "ok", "x", exit_code=9), doctor.Check("b", "warn", "x", exit_code=9)
    fail = doctor.Check("c", "fail", "x", "fix it")
    patch = dataclasses.replace(fail, exit_code=5)
    codes = [doctor.Diagnosis([ok, warn, *more]).exit_code for more in ([], [fail], [fail, patch])]
    assert codes == [0, 1, 5]
    assert str(doctor.Diagnosis([fail])) == "fail  c  x -> fix it"


def test_doctor_looks_at_everything(tmp_path):
    """It comes to its end on any machine, and leaves nothing in models_dir."""
    found = {check.name for check in doctor.diagnose(tmp_path / "models").checks}
    assert found >= {
        "python",
        "tensorflow",
        "legacy keras",
        "od api",
        "cpu",
        "memory",
        "models_dir",
        "disk",
        "gpu",
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_models_dir_of_another_user_is_told(tmp_path):
    """The usual fault of a bind mount."""
    tmp_path.chmod(0o500)
    assert doctor.check_models_dir(tmp_path / "models").state == "fail"


H100 = "0, GPU-1f, NVIDIA H100, 9.0, 580.65.06\n"
NOTHING = Ended(0)
WORKS = '{"gpu": "NVIDIA H100", "seconds": 2.0, "difference": 0.0005}\n'
FAILS = '{"gpu": "NVIDIA H100", "error": "InternalError: \'cuLaunchKernel\' failed\\nmore"}\n'


def machine(monkeypatch, *, listed=None, cuda="", kernels=NOTHING):
    """What `doctor` says of a machine by its nvidia-smi, CUDA's driver and TensorFlow; and the processes it started."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    started = []

    def run(argv, seconds):
        started.append(argv)
        return kernels if argv == gpu_probe.KERNELS else Ended(0, cuda)

    return doctor.check_gpus(lambda argv: listed, run), started


def test_without_a_gpu_tensorflow_is_not_imported(monkeypatch):
    """Neither nvidia-smi nor CUDA's driver shows one: there is nothing to try."""
    (check,), started = machine(monkeypatch)
    assert (check.state, started) == ("ok", [gpu_probe.COUNT])
    assert "none" in check.text


@pytest.mark.parametrize(
    ("listed", "cuda", "kernels", "states", "words"),
    [
        (H100, "", Ended(0, WORKS), ["ok", "ok"], ["compiles them at first use", "0.0005 apart"]),
        (None, "1\n", Ended(0, WORKS), ["ok", "ok"], ["nvidia-smi does not list", "0.0005 apart"]),
        (H100, "", Ended(0, FAILS), ["ok", "fail"], ["compiles", "InternalError"]),
        (H100, "", Ended(0, ""), ["warn"], ["TensorFlow can't use it"]),
        (H100.replace("580.65.06", "535.183.01"), "", Ended(0, WORKS), ["warn", "ok"], ["can't compile them", "apart"]),
        (H100.replace("9.0", "12.0"), "", Ended(0, WORKS), ["warn", "ok"], ["reported as not working", "apart"]),
    ],
)
def test_what_is_said_of_a_gpu_is_tried(listed, cuda, kernels, states, words, monkeypatch):
    """The driver's list and the table of GPUs come first, then what came of kernels, whatever those two say."""
    checks, _ = machine(monkeypatch, listed=listed, cuda=cuda, kernels=kernels)
    assert [check.state for check in checks] == states
    assert [word in check.text for check, word in zip(checks, words, strict=True)] == [True] * len(words)
    assert not any("\n" in check.text for check in checks)


def test_legacy_keras_turned_off_is_told(monkeypatch):
    """Somebody's shell profile sets TF_USE_LEGACY_KERAS=0."""
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    assert doctor.check_legacy_keras("2.21.0").state == "fail"
