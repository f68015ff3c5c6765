"""The table that `status` prints."""

import dataclasses
import json
import time

import pytest

from app.errors import SettingsError
from app.run.directory import Run, serving_dir
from app.run.files import append_line, write_json, write_text
from app.run.goodput import Goodput, write_goodput
from app.run.heartbeat import write_heartbeat
from app.run.rollbacks import append_rollback
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
    text = str(run_table.read_table(tmp_path, "a", METRIC))
    for line in ("step         5 of 9", "newest 0.500 @5, best 0.500 @5", "checkpoints  5", "not started"):
        assert line in text


def test_status_says_where_the_time_went_and_what_went_wrong(tmp_path):
    """A line for the account, one for Young's interval after a failure, one for each rollback."""
    run = make_run(tmp_path, "a")
    write_goodput(run, Goodput(training=14_000, saving=200, starting=200, down=600, saves=50, failures=2))
    append_rollback(run, step=3, before=0.1, rate=0.01, reason="the loss of step 4 is not finite", evaluations=0)
    text = str(run_table.read_table(tmp_path, "a", METRIC))
    for line in (
        "goodput      93% training (3 h 53 min), saving 3 min 20 s, starting 3 min 20 s, down 10 min 0 s",
        "2 failures: a checkpoint every 4 min 0 s loses the least time",
        "rollback     to step 3, learning rate 0.01: the loss of step 4 is not finite",
    ):
        assert line in text


def test_status_says_what_serves(tmp_path):
    """The model in serving that was made of the run, under whatever name; that of another run is not told."""
    make_run(tmp_path, "a")
    for name, version, run in (("a", 1, "a"), ("prod", 7, "a"), ("other", 2, "b")):
        write_json(serving_dir(tmp_path, name) / str(version) / "card.json", {"run": run, "step": 5})
    found = run_table.read_table(tmp_path, "a", METRIC)
    assert found.runs[0].serving == ["version 1 of a, step 5", "version 7 of prod, step 5"]
    assert "serves       version 7 of prod, step 5" in str(found)


def test_status_of_all_runs_is_a_table(tmp_path):
    """A line a run; other folders are no runs."""
    make_run(tmp_path, "a")
    make_run(tmp_path, "b", state="done")
    (tmp_path / "serving" / "x" / "1").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    found = run_table.read_table(tmp_path, "", METRIC)
    assert [one.run for one in found.runs] == ["a", "b"]
    assert [line.split()[0] for line in str(found).splitlines()[2:]] == ["a", "b"]


def test_a_silent_trainer_is_stalled(tmp_path):
    """A heartbeat of minutes ago is no life, unless the service had ended."""
    make_run(tmp_path, "a", age=300)
    make_run(tmp_path, "b", age=300, state="done")
    found = {one.run: one.stalled for one in run_table.read_table(tmp_path, "", METRIC).runs}
    assert found == {"a": ["trainer"], "b": []}


def test_status_without_runs(tmp_path):
    """An empty or missing folder is no error; a run that is not there is."""
    make_run(tmp_path / "models", "a")
    assert str(run_table.read_table(tmp_path / "none", "", METRIC)) == f"no runs in {tmp_path / 'none'}"
    with pytest.raises(SettingsError) as caught:
        run_table.read_table(tmp_path / "models", "b", METRIC)
    assert "one of a: --run=NAME" in caught.value.remedy


def test_status_is_json(tmp_path):
    """Machines get numbers."""
    make_run(tmp_path, "a")
    value = json.loads(json.dumps(dataclasses.asdict(run_table.read_table(tmp_path, "", METRIC)), default=str))
    assert value["runs"][0]["best"] == {"step": 5, "value": 0.5}


def test_status_says_that_there_is_nothing_to_measure(tmp_path):
    """Neither a score nor a best, nor as if nothing had been evaluated; in a table of runs it is a dash."""
    run = make_run(tmp_path, "a")
    run.evaluations.unlink()
    for step, nothing in ((5, -1.0), (6, None)):
        append_line(run.evaluations, {"step": step, "metrics": {METRIC: nothing}})
    assert "nothing to measure" in str(run_table.read_table(tmp_path, "a", METRIC))
    make_run(tmp_path, "b")
    row = str(run_table.read_table(tmp_path, "", METRIC)).splitlines()[2]
    assert row.split()[0] == "a" and row.split().count("-") == 2


def test_each_run_is_shown_by_its_own_metric(tmp_path):
    """That of its best checkpoint, unless one is asked for."""
    make_run(tmp_path, "a")
    run = make_run(tmp_path, "b")
    write_json(run.best_card, {"step": 5, "metric": "PascalBoxes_Precision/mAP@0.5IOU", "value": 0.25})
    lines = str(run_table.read_table(tmp_path, "", "")).splitlines()
    assert "0.500 @5 mAP" in lines[2] and "0.250 @5 mAP@0.5IOU" in lines[3]
    assert "mAP@0.5IOU" in str(run_table.read_table(tmp_path, "b", ""))
    assert "newest mAP" in str(run_table.read_table(tmp_path, "", METRIC))
