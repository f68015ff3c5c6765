"""status and doctor: what they find, and in which form."""

import dataclasses
import hashlib
import json
import os
import time

import pytest

from app.errors import PatchMismatchError, SettingsError
from app.machine import doctor, odapi_build
from app.run.directory import Run, serving_dir
from app.run.files import append_line, write_json, write_text
from app.run.heartbeat import write_heartbeat
from app.services import run_table

METRIC = "DetectionBoxes_Precision/mAP"


def make_run(root, name, *, state="training", age=0.0):
    """A run at step 5 of 9 whose trainer was heard of `age` seconds ago."""
    run = Run(root / name)
    write_heartbeat(run, "trainer", state=state, step=5, of=9, clock=lambda: time.time() - age)
    append_line(run.evaluations, {"step": 5, "metrics": {METRIC: 0.5}})
    write_text(run.root / "ckpt-5.index", "x" * 1000)
    return run


def test_status_of_one_run(tmp_path):
    """Step, scores, checkpoints and sizes of the run that was asked for."""
    make_run(tmp_path, "a")
    text = str(run_table.read(tmp_path, "a", METRIC))
    for words in ("step         5 of 9", "newest 0.500 @5, best 0.500 @5", "checkpoints  5", "not started"):
        assert words in text


def test_status_says_what_serves(tmp_path):
    """The model in serving that was made of the run, under whatever name; that of another run is not told."""
    make_run(tmp_path, "a")
    for name, version, run in (("a", 1, "a"), ("prod", 7, "a"), ("other", 2, "b")):
        write_json(serving_dir(tmp_path, name) / str(version) / "card.json", {"run": run, "step": 5})
    found = run_table.read(tmp_path, "a", METRIC)
    assert found.runs[0].serving == ["version 1 of a, step 5", "version 7 of prod, step 5"]
    assert "serves       version 7 of prod, step 5" in str(found)


def test_status_of_all_runs_is_a_table(tmp_path):
    """A line a run; other folders are no runs."""
    make_run(tmp_path, "a")
    make_run(tmp_path, "b", state="done")
    (tmp_path / "serving" / "x" / "1").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    found = run_table.read(tmp_path, "", METRIC)
    assert [one.run for one in found.runs] == ["a", "b"]
    assert [line.split()[0] for line in str(found).splitlines()[2:]] == ["a", "b"]


def test_a_silent_trainer_is_stalled(tmp_path):
    """A heartbeat of minutes ago is no life, unless the service had ended."""
    make_run(tmp_path, "a", age=300)
    make_run(tmp_path, "b", age=300, state="done")
    found = {one.run: one.stalled for one in run_table.read(tmp_path, "", METRIC).runs}
    assert found == {"a": ["trainer"], "b": []}


def test_status_without_runs(tmp_path):
    """An empty or missing folder is no error; a run that is not there is."""
    make_run(tmp_path / "models", "a")
    assert str(run_table.read(tmp_path / "none", "", METRIC)) == f"no runs in {tmp_path / 'none'}"
    with pytest.raises(SettingsError, match=r"there is no run b in .*there are: a"):
        run_table.read(tmp_path / "models", "b", METRIC)


def test_status_is_json(tmp_path):
    """Machines get numbers."""
    make_run(tmp_path, "a")
    value = json.loads(json.dumps(dataclasses.asdict(run_table.read(tmp_path, "", METRIC)), default=str))
    assert value["runs"][0]["best"] == {"step": 5, "value": 0.5}


@pytest.fixture
def od_api(tmp_path):
    """An installed OD API with its record, and the patches that it was built with."""
    series, installed = tmp_path / "patches", tmp_path / "object_detection"
    series.mkdir()
    installed.mkdir()
    hashes = []
    for name in ("0001-a.patch", "0002-b.patch"):
        (series / name).write_text(name)
        hashes.append({"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()})
    (series / "series").write_text("# order\n0001-a.patch\n0002-b.patch\n")
    write_json(installed / odapi_build.BUILD_RECORD, {"version": "0.1", "patches": hashes})
    return installed, series


def test_an_od_api_of_this_checkout_is_accepted(od_api):
    """Same patches, same order."""
    assert odapi_build.verify(*od_api)["version"] == "0.1"


@pytest.mark.parametrize("change", ["edited", "added", "removed", "reordered", "stock", "lost"])
def test_any_other_od_api_is_refused(od_api, change):
    """Exit code 5 with the patch by name, and how to mend it."""
    installed, series = od_api
    name = "0002-b.patch"
    if change == "edited":
        (series / name).write_text("other")
    elif change == "added":
        name = "0003-c.patch"
        (series / name).write_text("new")
        (series / "series").write_text("0001-a.patch\n0002-b.patch\n0003-c.patch\n")
    elif change == "removed":
        (series / "series").write_text("0001-a.patch\n")
    elif change == "reordered":
        name = "order of the series"
        (series / "series").write_text("0002-b.patch\n0001-a.patch\n")
    elif change == "stock":
        name = "not detbox's build"
        (installed / odapi_build.BUILD_RECORD).unlink()
    else:
        (series / name).unlink()
    with pytest.raises(PatchMismatchError, match=name) as caught:
        odapi_build.verify(installed, series)
    assert caught.value.exit_code == 5
    assert "--reinstall-package object-detection" in str(caught.value)


def test_doctor_gives_the_code_of_the_worst():
    """5 for a wrong OD API, 1 for anything else that fails, 0 for warnings."""
    ok, warn = doctor.Check("a", "ok", "x", exit_code=9), doctor.Check("b", "warn", "x", exit_code=9)
    fail = doctor.Check("c", "fail", "x", "mend it")
    patch = dataclasses.replace(fail, exit_code=5)
    codes = [doctor.Diagnosis([ok, warn, *more]).exit_code for more in ([], [fail], [fail, patch])]
    assert codes == [0, 1, 5]
    assert str(doctor.Diagnosis([fail])) == "fail  c  x -> mend it"


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
