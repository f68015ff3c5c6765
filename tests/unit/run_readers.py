"""What reads the files of a run, each as one function of the run: none of them may end in an internal error."""

import dataclasses
import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import old_run

from app.checkpoint import resolve_checkpoint
from app.dataset import card as cards
from app.detection import sidecar_files
from app.evaluation import checkpoint_queue, early_stopping, selection
from app.evaluation.coco import ClassMetrics
from app.evaluation.selection import Rule
from app.jobs import evaluate, health, prepare, report, status
from app.report.held_out_images import class_thresholds, select_images
from app.run.directory import Run
from app.run.evaluations import evaluated_steps, read_best, read_details, read_evaluations
from app.run.files import write_json
from app.run.goodput import Goodput, write_goodput
from app.run.heartbeat import Heartbeat, write_heartbeat
from app.run.preparation import prepared_run
from app.run.rollbacks import append_rollback
from app.run.run_end import finished_training
from app.run_copy.state import CopyState, write_state
from app.services import live_view, run_state, trio
from app.settings import Settings
from app.training.stop import StopFlag
from app.training.trainer import Trainer
from app.write_schedule import WriteSchedule
from entrypoint.results import present

MAP = old_run.MAP
RULE = Rule(metric=MAP)
FILES = (
    "DONE",
    "status/trainer.json",
    "status/evaluator.json",
    "status/stop.json",
    "status/sync.json",
    "evaluations.jsonl",
    "metrics.jsonl",
    "rollbacks.jsonl",
    "status/goodput.json",
    "evaluations/80.json",
    "best/best.json",
    "run.json",
    "records/dataset.json",
    "detections/index.json",
    "exports/image_tensor/card.json",
    "../serving/old/1/card.json",
    "../serving/old/.history.jsonl",
)


def settings_for(run):
    return Settings(models_dir=run.root.parent, run=run.name, json=True)


def show(result):
    """As text and as JSON, in bytes: what is printed must be printable."""
    for as_json in (False, True):
        present(result, as_json=as_json).encode("utf-8")


def read_status(run):
    show(status.run(settings_for(run)))
    show(status.run(dataclasses.replace(settings_for(run), run="")))


def read_health(run):
    for service in ("trainer", "evaluator"):
        show(health.run(dataclasses.replace(settings_for(run), service=service)))


def read_report(run):
    show(report.run(settings_for(run)))


def read_live(run):
    state = run_state.read_run_state(run, MAP)
    live_view.format_line(state).encode("utf-8")
    live_view.build_panel(state, {"trainer": state.trainer.describe(time.time())}, 80)
    run_state.is_finished(run, 200)
    show(trio.read_outcome(run, metric=MAP, seconds=1.0))


def read_settings(run):
    prepared_run(run.root.parent, run.name)
    prepare.settings_of_run(run, settings_for(run))
    cards.read(run.records)


def read_checkpoints(run):
    for wanted in ("best", "newest", "80", "120", str(run.best)):
        best = resolve_checkpoint(run, wanted)
        assert best.prefix.parent in (run.root, run.best)
        class_thresholds(best.details)
        select_images(best.details, 4)
    for card in sidecar_files.cards(run.best):
        sidecar_files.names_of_card(card)
        sidecar_files.thresholds_of_card(card)


class Model:
    """Finds the same in every checkpoint."""

    classes, image_outputs = {1: "cat"}, 0

    def evaluate(self, prefix):
        step = int(prefix.name.rpartition("-")[2])
        found = {1: ClassMetrics(None, None, None)}
        return SimpleNamespace(step=step, images=[], metrics={MAP: 0.5}, classes=found)


def run_evaluator(run):
    run.records.joinpath("dataset.json").unlink()  # It would want images; its readers are above.
    service = evaluate.EvaluatorService(run, dataclasses.replace(settings_for(run), early_stopping_patience=2))
    service._evaluator, service._events = Model(), SimpleNamespace(write=lambda *_: None)
    selection.restore_best(run, RULE)
    steps = []
    for prefix in checkpoint_queue.iterate_checkpoints(run, once=True, wait_secs=0, fault=lambda prefix: None):
        service.evaluate(prefix)
        steps.append(int(prefix.name.rpartition("-")[2]))
    assert len(set(steps)) == len(steps)
    assert evaluated_steps(run) >= set(run.checkpoint_steps())
    assert read_best(run)
    early_stopping.stop_reason(read_evaluations(run), RULE, early_stopping.Patience(1))
    read_details(run, 80)
    checkpoint_queue.describe_wait(Heartbeat.read(run, "trainer"), time.time())
    write_heartbeat(run, "evaluator", state="done", step=120, of=120)


class Loop:
    """`train_loop` from step 120 on."""

    batch_size, is_chief, restored_from, fine_tuned_from, train_steps = 4, True, "ckpt-120", None, 140

    def __init__(self, run):
        self.run, self.step, self.checkpoints = run, 120, {}

    losses = staticmethod(lambda: {"Loss/total_loss": 1.0})
    learning_rate = staticmethod(lambda: 0.01)
    first_non_finite = staticmethod(lambda: None)
    write_scalars = staticmethod(lambda scalars: None)
    delete = staticmethod(lambda steps: None)

    def save(self):
        self.checkpoints[self.step] = path = str(self.run.checkpoint(self.step))
        Path(f"{path}.index").touch()
        return path


def run_trainer(run):
    finished_training(run, 140)
    names = (field.name for field in dataclasses.fields(WriteSchedule))
    schedule = WriteSchedule(**{**dict.fromkeys(names, 10), "checkpoint_every_secs": 0, "exact": frozenset()})
    clock = iter(range(0, 10_000, 10))
    trainer, loop = Trainer(run, schedule, StopFlag(), newest=None, clock=lambda: next(clock)), Loop(run)
    trainer.begin(loop)
    while steps := trainer.steps_to_run(loop):
        loop.step += steps
        trainer.after_steps(loop)
    trainer.end(loop)
    assert finished_training(run, 140)


READERS = (
    read_status,
    read_health,
    read_report,
    read_live,
    read_settings,
    read_checkpoints,
    run_evaluator,
    run_trainer,
)


def write_whole(models_dir: Path) -> Path:
    """A finished run of three checkpoints with everything that reads may meet; returns `models_dir`."""
    root = old_run.write(models_dir)
    run = Run(root)
    write_json(run.stop_request, {"reason": "early-stopped: x", "step": 80, "time": 1.0})
    append_rollback(run, step=80, before=0.1, rate=0.01, reason="it diverged", evaluations=0)
    write_goodput(run, Goodput(training=9.0, lost=1.0, saving=1.0, saves=2, failures=1, training_at={"80": 5.0}))
    write_state(run, CopyState(where="s3://models/old", writer="0f", step=80, time=1.0, failures=2, error="no answer"))
    write_json(run.evaluation_details(80), old_run.details(80))
    write_json(run.provenance, json.loads(run.provenance.read_text()) | {"given": {"batch_size": "8"}})
    (run.best / "ckpt-80.index").touch()
    for name in ("pipeline.config", "label_map.pbtxt"):
        shutil.copy(root / name, run.best / name)
    history = {"action": "promoted", "version": 1, "run": "old", "step": 80, "metric": MAP, "value": 0.1}
    (root.parent / "serving/old/.history.jsonl").write_text(json.dumps(history) + "\n")
    return root.parent
