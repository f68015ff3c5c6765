"""What `doctor` finds on a machine."""

import dataclasses
import os

import pytest

from app.machine import doctor


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


@pytest.mark.parametrize(
    ("listed", "seen", "state", "words"),
    [
        (None, None, "ok", "none: training runs on the CPU"),
        (H100, "1\n", "ok", "compiles them at first use"),
        (H100, "0\n", "warn", "TensorFlow can't use it"),
        (H100, None, "warn", "TensorFlow can't use it"),
        (H100.replace("580.65.06", "535.183.01"), "1\n", "warn", "too old to compile them"),
    ],
)
def test_a_gpu_that_tensorflow_does_not_see_is_told(listed, seen, state, words, monkeypatch):
    """The driver's list, TensorFlow's and its build are held against each other."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = doctor.check_gpu(lambda argv: listed if argv[0] == "nvidia-smi" else seen)
    assert (found.state, words in found.text) == (state, True)


def test_legacy_keras_turned_off_is_told(monkeypatch):
    """Somebody's shell profile sets TF_USE_LEGACY_KERAS=0."""
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    assert doctor.check_legacy_keras("2.21.0").state == "fail"
