"""Whatever a file of the run holds, no reader of it ends in an internal error."""

import copy
import dataclasses
import json
import logging
import shutil
import time
from types import SimpleNamespace

import old_run
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import refused

from app.checkpoint import resolve_checkpoint
from app.dataset import card as cards
from app.detection import sidecar_files
from app.errors import DetboxError, SettingsError
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
        self.checkpoints[self.step] = str(self.run.checkpoint(self.step))
        return self.checkpoints[self.step]


def run_trainer(run):
    finished_training(run, 140)
    names = (field.name for field in dataclasses.fields(WriteSchedule))
    schedule = WriteSchedule(**{**dict.fromkeys(names, 10), "checkpoint_every_secs": 0})
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

HUGE = "9" * 400
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**18, -(10**18), 10**400, 2**53, 1e308, -1e308, 1e-308, float("nan"), float("inf"), 0.5, -1]),
    st.text(max_size=8),
    st.sampled_from(["\x1b[31m", "\u2028", "\ud800", "a/../../b", "..", "\0", HUGE]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["step", "a", "\udcff"]), st.integers() | st.text(max_size=3), max_size=2),
)
garbage = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"\0" * 512, b"[" * 100_000, b"null", b"[]", b"{}", b"7", b'"x"', b"{", b'{"step": ' + HUGE.encode() * 20]
    ),
    values.map(lambda value: json.dumps(value).encode()),
)


@st.composite
def damaged(draw, whole):
    """What became of the bytes `whole`: cut, flipped, re-encoded, another value or none for a key, or all garbage."""
    kind = draw(st.sampled_from(["garbage", "cut", "flip", "nul", "encoding", "key", "key", "key", "lines"]))
    if kind == "cut":
        return whole[: draw(st.integers(0, len(whole)))]
    if kind == "flip" and whole:
        at = draw(st.integers(0, len(whole) - 1))
        return whole[:at] + bytes([draw(st.integers(0, 255))]) + whole[at + 1 :]
    if kind == "nul":
        return whole[: draw(st.integers(0, len(whole)))] + b"\0" * 100
    if kind == "encoding":
        return whole.decode().encode(draw(st.sampled_from(["utf-16", "utf-8-sig", "utf-16-be"])))
    if kind == "lines":
        return draw(garbage) + b"\n" + whole + b"\n" + draw(garbage)
    if kind == "key" and whole:
        rows = (
            json.loads(whole) if whole.startswith((b"{\n", b"[\n")) else [json.loads(row) for row in whole.splitlines()]
        )
        rows = copy.deepcopy(rows)
        replace_one(draw, rows)
        text = "\n".join(map(json.dumps, rows)) if isinstance(rows, list) else json.dumps(rows, indent=2)
        return text.encode()
    return draw(garbage)


def replace_one(draw, held):
    """Replaces or deletes one value, at any depth."""
    keys = list(held) if isinstance(held, dict) else list(range(len(held)))
    key = draw(st.sampled_from(keys)) if keys else None
    inner = held[key] if keys else None
    if isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
        return replace_one(draw, inner)
    if keys and isinstance(held, dict) and draw(st.booleans()):
        del held[key]
    elif keys:
        held[key] = draw(values)
    return None


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A finished run of three checkpoints with everything that reads may meet."""
    root = old_run.write(tmp_path_factory.mktemp("whole"))
    run = Run(root)
    write_json(run.stop_request, {"reason": "early-stopped: x", "step": 80, "time": 1.0})
    append_rollback(run, step=80, before=0.1, rate=0.01, reason="it diverged", evaluations=0)
    write_goodput(run, Goodput(training=9.0, lost=1.0, saving=1.0, saves=2, failures=1, training_at={"80": 5.0}))
    write_json(run.evaluation_details(80), old_run.details(80))
    write_json(run.provenance, json.loads(run.provenance.read_text()) | {"given": {"batch_size": "8"}})
    (run.best / "ckpt-80.index").touch()
    for name in ("pipeline.config", "label_map.pbtxt"):
        shutil.copy(root / name, run.best / name)
    history = {"action": "promoted", "version": 1, "run": "old", "step": 80, "metric": MAP, "value": 0.1}
    (root.parent / "serving/old/.history.jsonl").write_text(json.dumps(history) + "\n")
    return root.parent


def damage_and_read(whole_run, folder, reader, damages):
    models = folder / "models"
    shutil.rmtree(models, ignore_errors=True)
    shutil.copytree(whole_run, models)
    run = Run(models / "old")
    for name, content in damages.items():
        (run.root / name).write_bytes(content)
    try:
        reader(run)
    except DetboxError as error:
        assert error.exit_code in (1, 3, 4)
        assert error.remedy


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_no_content_is_an_internal_error(whole_run, tmp_path_factory, reader, monkeypatch):
    """A reader gives what it can read, or an error with a remedy."""
    folder = tmp_path_factory.mktemp(reader.__name__)
    monkeypatch.setattr(logging.getLogger("app"), "level", logging.CRITICAL)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def read(data):
        names = data.draw(st.lists(st.sampled_from(FILES), min_size=1, max_size=3, unique=True))
        contents = {name: data.draw(damaged((whole_run / "old" / name).read_bytes())) for name in names}
        damage_and_read(whole_run, folder, reader, contents)

    read()


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_a_files_place_is_no_internal_error(whole_run, tmp_path, name):
    """Nor a file that may not be read."""
    for reader in (read_status, read_health, read_live, read_settings, read_checkpoints):
        shutil.copytree(whole_run, tmp_path / reader.__name__)
        run = Run(tmp_path / reader.__name__ / "old")
        (run.root / name).unlink()
        (run.root / name).mkdir()
        try:
            reader(run)
        except DetboxError as error:
            assert error.remedy


@pytest.mark.parametrize("name", ["run.json", "records/dataset.json"])
def test_what_a_run_was_prepared_with_is_not_done_without(whole_run, tmp_path, name):
    """Trainer and evaluator refuse a run whose record can't be read: they would go on with other settings."""
    shutil.copytree(whole_run, tmp_path / "models")
    (tmp_path / "models/old" / name).write_text("{")
    with refused(SettingsError, where=name) as caught:
        prepared_run(tmp_path / "models", "old")
    assert "detbox prepare" in caught.value.remedy
    assert caught.value.exit_code == 3
