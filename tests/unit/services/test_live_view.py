"""The live view, as text."""

import io
import time

import pytest
from rich.console import Console

from app.run.directory import Run
from app.run.files import append_line, write_json, write_text
from app.run.heartbeat import write_heartbeat
from app.services import live_view, run_state

METRIC = "DetectionBoxes_Precision/mAP"


@pytest.fixture
def run(tmp_path):
    """A run at step 120 of 900 with two evaluations, the first of which is the best."""
    run = Run(tmp_path / "shapes")
    write_heartbeat(run, "trainer", state="training", step=120, of=900)
    write_heartbeat(run, "evaluator", state="waiting", step=100, of=0, reason="for the checkpoint of step 200")
    row = {"step": 120, "time": time.time(), "loss": 0.8123, "learning_rate": 0.0213, "steps_per_sec": 7.1}
    append_line(run.metrics, row)
    for step, value in ((50, 0.4), (100, 0.31)):
        append_line(run.evaluations, {"step": step, "metrics": {METRIC: value}})
    write_text(run.train_events / "events.out", "x" * 2_100_000)
    return run


def test_a_line_of_progress(run):
    """Step, loss, rate, time left, newest score, bytes of events: in this order."""
    assert live_view.format_line(run_state.read_run_state(run, METRIC)) == (
        "train | step 120/900 | loss 0.812 | lr 0.0213 | 7.1 steps/s | eta 1:49 | mAP 0.310 @100 "
        "| events 2.1 MB of 200.0 MB"
    )


def test_lines_come_at_intervals_and_only_when_something_advanced(run):
    """Nothing is told twice, nor oftener than the interval; closing tells what was held back."""
    stream = io.StringIO()
    lines = live_view.Lines(stream, interval=0.2)
    lines.show(run_state.read_run_state(run, METRIC), {})
    write_heartbeat(run, "trainer", state="training", step=121, of=900)
    lines.show(run_state.read_run_state(run, METRIC), {})
    assert stream.getvalue().count("\n") == 1
    time.sleep(0.25)
    for _ in range(3):
        lines.show(run_state.read_run_state(run, METRIC), {})
    assert stream.getvalue().count("\n") == 2
    write_heartbeat(run, "trainer", state="training", step=122, of=900)
    lines.show(run_state.read_run_state(run, METRIC), {})
    lines.close()
    assert [line.split(" | ")[1] for line in stream.getvalue().splitlines()] == [
        "step 120/900",
        "step 121/900",
        "step 122/900",
    ]


def test_an_empty_run_can_be_shown(tmp_path):
    """Before the first file there is something to say."""
    empty = run_state.read_run_state(Run(tmp_path / "none"), METRIC, since=1.0)
    assert (
        live_view.format_line(empty)
        == "train | step 0/? | trainer starting | evaluator starting | events 0 B of 200.0 MB"
    )
    assert "none yet" in render(empty, {})


def test_panel_shows_everything(run):
    """Run, step, figures, best and newest score with steps, bytes, and the state of each service."""
    now = run_state.read_run_state(run, METRIC)
    services = {"trainer": "training", "evaluator": now.evaluator.describe(now.time)}
    text = render(now, {**services, "tensorboard": "http://localhost:6006/"})
    for shown in (
        "shapes",
        "step 120 of 900",
        "loss 0.812",
        "eta 1:49",
        "0.310 at step 100 · best 0.400 at step 50",
        "2.1 MB",
        "waiting: for the checkpoint of step 200",
        "http://localhost:6006/",
    ):
        assert shown in text


def render(now, services):
    """The panel as a terminal of 120 columns shows it."""
    console = Console(file=io.StringIO(), width=120)
    console.print(live_view.build_panel(now, services))
    return console.file.getvalue()


def test_no_escape_codes_outside_a_terminal():
    """A pipe gets lines, a terminal the panel."""
    assert isinstance(live_view.open_view(io.StringIO()), live_view.Lines)


def test_heartbeats_of_an_earlier_start_are_ignored(run):
    """After a resume the view waits for the new trainer's own heartbeat; scores stay."""
    now = run_state.read_run_state(run, METRIC, since=time.time() + 1)
    assert (now.trainer.state, now.row, now.eta_seconds) == ("starting", {}, None)
    assert now.best == run_state.Score(50, 0.4)


@pytest.mark.parametrize(("metric", "step"), [(METRIC, 20), ("Loss/total_loss", 10)])
def test_best_is_the_highest_score_or_the_lowest_loss(metric, step):
    """The earliest wins among equals."""
    scores = [run_state.Score(10, 0.1), run_state.Score(20, 0.5), run_state.Score(30, 0.5)]
    assert run_state.best_score(scores, metric).step == step


def test_a_score_that_is_no_number_is_no_score(run):
    """NaN can't be the best, and a row without the metric does not count."""
    append_line(run.evaluations, {"step": 150, "metrics": {METRIC: float("nan")}})
    append_line(run.evaluations, {"step": 160, "metrics": {}})
    now = run_state.read_run_state(run, METRIC)
    assert (now.newest.step, now.best.step) == (100, 50)


def test_the_best_is_what_the_evaluator_keeps(run):
    """It knows what may be the best, and which direction is better; by another metric the scores decide."""
    write_json(run.best_card, {"step": 100, "checkpoint": "ckpt-100", "metric": METRIC, "value": 0.31})
    assert run_state.read_run_state(run, METRIC).best == run_state.Score(100, 0.31)
    assert run_state.read_run_state(run, "Loss/total_loss").best is None


def test_nothing_to_measure_is_said(run):
    """In the line and in the panel."""
    run.evaluations.unlink()
    append_line(run.evaluations, {"step": 50, "metrics": {METRIC: -1.0}})
    state = run_state.read_run_state(run, METRIC)
    assert "| mAP: nothing to measure |" in live_view.format_line(state)
    page = io.StringIO()
    Console(file=page, width=80).print(live_view.build_panel(state, {}))
    assert "nothing to measure" in page.getvalue()
