"""Early stopping from the evaluator's decision to the trainer's DONE, on a loop that computes nothing."""

import dataclasses
import logging
import math
from types import SimpleNamespace

import pytest
import webhook
from fake_services import wait_for

from app.evaluation import checkpoint_queue
from app.evaluation.coco import ClassMetrics
from app.jobs.evaluate import EvaluatorService
from app.run.directory import Run
from app.run.files import read_json, read_lines
from app.services import run_state, trio
from app.settings import Settings
from app.training import stop, trainer
from app.write_schedule import WriteSchedule

METRIC = "DetectionBoxes_Precision/mAP"
SCORES = {10: 0.1, 20: 0.3, 30: 0.2, 40: 0.25, 50: 0.28, 60: 0.9}


class Loop:
    """`train_loop` with a checkpoint every 10 steps, each of them evaluated at once."""

    batch_size, is_chief, restored_from, fine_tuned_from, train_steps = 4, True, None, None, 100

    def __init__(self, run, service):
        self.run, self.service, self.step, self.checkpoints = run, service, 0, {}

    losses = staticmethod(lambda: {"Loss/total_loss": 1.0})
    learning_rate = staticmethod(lambda: 0.01)
    first_non_finite = staticmethod(lambda: None)
    write_scalars = staticmethod(lambda scalars: None)

    def delete(self, steps):
        for step in steps:
            del self.checkpoints[step]

    def save(self):
        path = self.run.checkpoint(self.step)
        path.with_name(f"{path.name}.index").touch()
        self.checkpoints[self.step] = str(path)
        return str(path)

    def drive(self, hook):
        hook.begin(self)
        while steps := hook.steps_to_run(self):
            self.step += steps
            hook.after_steps(self)
            evaluate(self.run, self.service)
        hook.end(self)


def evaluate(run, service):
    for prefix in checkpoint_queue.iterate_checkpoints(run, once=True, wait_secs=0, fault=lambda prefix: None):
        service.evaluate(prefix)


class Model:
    """Scores by step."""

    classes, image_outputs = {1: "cat"}, 0

    def evaluate(self, prefix):
        step = int(prefix.name.rpartition("-")[2])
        found = {1: ClassMetrics(None, None, None)}
        return SimpleNamespace(step=step, images=[], metrics={METRIC: SCORES[step]}, classes=found)


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path / "run")
    made.root.mkdir()
    for path in (made.pipeline_config, made.label_map):
        path.touch()
    return made


def trained(run, written=None, **settings):
    service = EvaluatorService(run, dataclasses.replace(Settings(), best_metric=METRIC, **settings))
    service._evaluator, service._events = (
        Model(),
        SimpleNamespace(write=lambda *shown: None if written is None else written.append(shown)),
    )
    names = (field.name for field in dataclasses.fields(WriteSchedule))
    schedule = WriteSchedule(**{**dict.fromkeys(names, 10), "checkpoint_every_secs": 0, "exact": frozenset()})
    clock = iter(range(10_000))
    Loop(run, service).drive(trainer.Trainer(run, schedule, stop.StopFlag(), newest=None, clock=lambda: next(clock)))
    evaluate(run, service)


def test_training_ends_when_the_score_has_stopped_rising(run):
    """Three evaluations after the best of step 20, at step 50 of 100; DONE and `up` say so, and the best is step 20."""
    trained(run, early_stopping_patience=3)
    done = read_json(run.done)
    assert (done["step"], done["of"]) == (50, 100)
    assert done["reason"].startswith("early-stopped: ") and "0.3000 of step 20" in done["reason"]
    assert read_json(run.status("trainer"))["state"] == "done"
    assert read_json(run.best_card)["step"] == 20
    assert run_state.is_finished(run, 100)
    assert "early-stopped" in str(trio.read_outcome(run, metric=METRIC))


def test_without_patience_training_goes_on(run):
    """The default: as far as there are scores."""
    with pytest.raises(KeyError, match="70"):
        trained(run)
    assert not run.stop_request.exists() and not run.done.exists()
    assert read_json(run.best_card)["step"] == 60


@pytest.mark.parametrize("nothing", [-1.0, math.nan])
def test_nothing_to_measure_is_no_best(run, nothing, caplog, monkeypatch):
    """It is said in the line of each checkpoint, written as null, kept from TensorBoard, and never the best."""
    monkeypatch.setattr(f"{__name__}.SCORES", dict.fromkeys(SCORES, nothing))
    written = []
    with caplog.at_level(logging.INFO):
        trained(run, written, early_stopping_patience=2, promote_threshold=-5.0)
    lines = [record.getMessage() for record in caplog.records if METRIC in record.getMessage()]
    assert lines and all("nothing to measure" in line and "(best)" not in line for line in lines)
    assert written and all(METRIC not in scalars for _, scalars, *_ in written)
    assert not run.best.exists()
    assert [row["metrics"][METRIC] for row in read_lines(run.evaluations)] == [None, None]
    assert "nothing to measure" in str(trio.read_outcome(run, metric=METRIC))


def test_a_new_best_checkpoint_is_told_of(run):
    """Each that beats those before, if it is asked for."""
    pytest.importorskip("apprise")
    with webhook.listening() as hook:
        trained(run, notify=hook.address, notify_on="best", early_stopping_patience=3)
        wait_for(lambda: len(hook.messages) == 2)
        told = sorted(message["message"].partition(": ")[2] for message in hook.messages)
        assert told == ["mAP 0.100 at step 10", "mAP 0.300 at step 20"]
