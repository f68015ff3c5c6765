"""A run of an older detbox is read as its own detbox read it."""

import json

import old_run
import pytest
from old_run import MAP, SCORES

from app.report import run_report
from app.run.directory import Run
from app.run.evaluations import read_best, read_details, read_evaluations
from app.services import run_state
from entrypoint.__main__ import run as detbox


@pytest.fixture
def run(tmp_path):
    return Run(old_run.write(tmp_path))


def printed(capsys, run, *command):
    """What a command prints as JSON."""
    assert detbox([*command, f"--models_dir={run.root.parent}", "--run=old", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_its_state(run):
    """Steps, scores, the best that is kept, heartbeats, checkpoints."""
    found = run_state.read_run_state(run, MAP)
    assert (found.step, found.of, found.done["reason"]) == (120, 120, "completed")
    assert (found.newest, found.best) == (run_state.Score(120, SCORES[120]), run_state.Score(80, SCORES[80]))
    assert (found.trainer.state, found.trainer.reason, found.evaluator.step) == ("done", "completed", 120)
    assert found.row["loss"] == old_run.LOSSES[120]
    assert found.checkpoints == [40, 80, 120]
    assert run_state.is_finished(run, 120) and not run_state.is_finished(run, 140)


def test_status(run, capsys):
    """The same, as the command prints it, with what serves."""
    (found,) = printed(capsys, run, "status")["runs"]
    assert (found["step"], found["done"], found["trainer"]) == (120, "completed", "done: completed")
    assert found["best"] == {"step": 80, "value": SCORES[80]}
    assert found["stalled"] == []
    assert found["serving"] == ["version 1 of old, step 80"]


@pytest.mark.parametrize("service", ["trainer", "evaluator"])
def test_health(run, capsys, service):
    """Both services ended in order."""
    found = printed(capsys, run, "health", f"--service={service}")
    assert (found["healthy"], found["service"]) == (True, service)


def test_its_evaluations(run):
    """Small rows by today's keys; the details, from the lines, by today's keys."""
    rows = read_evaluations(run)
    assert [(row["step"], row["images"], row["metrics"][MAP]) for row in rows] == [
        (step, 16, score) for step, score in SCORES.items()
    ]
    assert not any("details" in row or "pictures" in row for row in rows)
    found = read_details(run, 120)
    assert [row["ap"] for row in found["classes"]] == [SCORES[120]] * 2
    assert [row["name"] for row in found["images"]["worst"]] == ["val/shapes_69.jpg", "val/shapes_65.jpg"]
    assert read_best(run)["details"]["images"] == read_details(run, 80)["images"]


def test_its_report(run, capsys):
    """Curves, classes, images, data set, settings, exports and versions, with the numbers of the files."""
    told = printed(capsys, run, "report")
    assert (told["runs"][0]["step"], told["runs"][0]["best"]) == (120, SCORES[80])
    found = run_report.read_report(run, dataset=None)
    assert found.losses["total"] == tuple((step, loss) for step, loss in old_run.LOSSES.items())
    assert found.scores[MAP] == tuple(SCORES.items())
    assert found.details.step == 80
    assert [list(row) for row in found.details.confusion.matrix] == old_run.CONFUSION
    assert [image.name for image in found.images] == [name for _, name, *_ in old_run.DRAWN]
    assert found.settings["sample_images"][0] == 80
    assert [(one.name, one.step) for one in found.exports] == [("image_tensor", 80)]
    assert [(one.name, one.step) for one in found.serving] == [("old, version 1", 80)]
    page = run.report.read_text("utf-8")
    assert "64 images" in page and "16 images" in page


def test_the_counts_of_its_report(run):
    """False negatives and false positives, by class and by image."""
    found = run_report.read_report(run)
    assert [(row.false_negatives, row.false_positives, row.misclassified) for row in found.details.classes] == [
        (6, 27, 2)
    ] * 2
    assert [(image.false_negatives, image.false_positives) for image in found.images] == [(2, 22), (0, 3)]
