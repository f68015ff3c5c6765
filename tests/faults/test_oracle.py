"""The oracle finds what it is there to find."""

import json

import oracle
import pytest
from small_run import Place

from app.run.files import append_line, write_json


@pytest.fixture
def place(tmp_path):
    """A run with two steps, one evaluation and no checkpoint, in which all is well."""
    place = Place(tmp_path)
    place.empty()
    run = place.run
    run.root.mkdir()
    run.pipeline_config.write_text("")
    for step in (1, 2):
        append_line(run.metrics, {"step": step})
    append_line(run.evaluations, {"step": 2, "images": 2, "expected": 2})
    write_json(run.evaluation_details(2), {})
    return place


def test_a_run_in_which_all_is_well(place):
    """Nothing is found."""
    assert oracle.check(place, set()) == []


def test_a_broken_checkpoint(place):
    """An index that can't be read."""
    (place.run.root / "ckpt-2.index").write_bytes(b"x")
    (found,) = oracle.check(place, {2})
    assert "ckpt-2 is broken" in found


def test_retention_counts_what_was_not_reported(place, monkeypatch):
    """A process was killed between a save and its line: an older one went for it. A newer one is missed."""
    monkeypatch.setattr(oracle, "call", lambda *arguments: [])
    for step in range(2, oracle.MAX_TO_KEEP + 2):
        (place.run.root / f"ckpt-{step}.index").touch()
    reported = set(range(1, oracle.MAX_TO_KEEP + 1))
    assert oracle.check(place, reported) == []
    (place.run.root / f"ckpt-{oracle.MAX_TO_KEEP}.index").unlink()
    assert oracle.check(place, reported) == [f"step {oracle.MAX_TO_KEEP} was reported as saved and is not there"]


HARMS = {
    "step 2 was reported as saved and is not there": lambda run: None,
    "the file checkpoint names ckpt-2": lambda run: (run.root / "checkpoint").write_text('path: "ckpt-2"'),
    "best.json is of step 2": lambda run: write_json(run.best_card, {"step": 2}),
    "DONE is not whole": lambda run: run.done.write_text("{"),
    "metrics.jsonl has not each step once: [1, 2, 2]": lambda run: append_line(run.metrics, {"step": 2}),
    "metrics.jsonl has not each step once: [1, 2, 4]": lambda run: append_line(run.metrics, {"step": 4}),
    "metrics.jsonl: ": lambda run: run.metrics.write_text('{"step": 1}\n{"st\n'),
    "evaluations.jsonl has steps twice": lambda run: run.evaluations.write_text(run.evaluations.read_text() * 2),
    "no details of the evaluation of step 2": lambda run: run.evaluation_details(2).unlink(),
    "an evaluation has not all images": lambda run: run.evaluations.write_text(
        json.dumps({"step": 2, "images": 1, "expected": 2}) + "\n"
    ),
    "evaluations.jsonl lacks [2]": lambda run: run.evaluations.unlink(),
    "written outside of the run": lambda run: (run.root.parent / "x").touch(),
}


@pytest.mark.parametrize("found", HARMS)
def test_what_is_not_well(place, monkeypatch, found):
    """Each kind, without looking into checkpoints, of which there are none."""
    monkeypatch.setattr(oracle, "call", lambda *arguments: [])
    HARMS[found](place.run)
    assert any(found in problem for problem in oracle.check(place, {2}, evaluated=True))


def test_what_is_left_over(place):
    """Hidden names of the trainer's, of files and folders that are replaced; not those of the lock or of others."""
    run = place.run
    for name in (
        ".saving-3-17",
        ".checkpoint-17",
        ".evaluating",
        "status/.trainer.json.abcd1234",
        ".hidden",
        "ckpt-3.data-0",
    ):
        (run.root / name).parent.mkdir(exist_ok=True)
        (run.root / name).touch()
    assert set(oracle.hidden(run)) == {".saving-3-17", ".checkpoint-17", ".evaluating", "status/.trainer.json.abcd1234"}
    assert oracle.leftovers(run, of_pid=18) == [".saving-3-17", ".checkpoint-17"]
    assert oracle.leftovers(run, of_pid=17) == []
    assert oracle.orphans(run) == ["ckpt-3.data-0"]


def test_output():
    """An internal error and a traceback are found, the lines of steps and saves are read."""
    text = "train | step 3 of 9 | resumed from x\ntrain | step 4/9 | loss 1\ntrain | step 4 | saved x/ckpt-4\n"
    assert (oracle.begun_step(text), oracle.made_steps(text), oracle.saved_steps(text)) == (3, [4], [4])
    assert oracle.check_output(text) == []
    assert oracle.check_output(text + "detbox: internal error: KeyError") != []
    assert oracle.check_output("Traceback (most recent call last):\n") != []
