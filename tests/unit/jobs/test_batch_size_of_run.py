"""`batch_size=auto` of a run: found by `prepare`, kept by all that come after it; a program in place of its steps."""

import math
import sys

import pytest
from refusals import refused

from app.environment import load
from app.errors import OutOfMemoryError
from app.jobs import checks, prepare, train
from app.machine import memory, odapi_build
from app.pipeline import batch_size_record
from app.protos.pipeline_config import parse_pipeline
from app.run.directory import find_run
from app.run.files import read_json
from app.services import batch_size, trial

ROOM_FOR_3 = """
import json, re, sys
batch = int(re.search(r"train_config [{].*? batch_size: ([0-9]+)", open(sys.argv[1]).read(), re.S)[1])
batch //= json.load(open(sys.argv[2]))["plan"]["parts"]
full = {"failure": "no", "out_of_memory": True} if batch > 3 else {}
json.dump({"doing": "x", "seconds": [1, 1 / batch], "ended": True, **full}, open(sys.argv[3], "w"))
"""


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Settings as a command line of these flags gives them, for a run of eight images on a machine with room for 3."""
    monkeypatch.setattr(batch_size, "COMMAND", (sys.executable, "-c", ROOM_FOR_3))
    monkeypatch.delenv("NVIDIA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(trial, "try_pipeline", lambda *given, **more: None)

    def load_flags(**flags):
        return load({"models_dir": str(tmp_path / "models"), "run": "r", "sample_images": "8", **flags}, {}, None)

    return load_flags


@pytest.fixture
def no_more_searches(given, monkeypatch):
    """`no_more_searches()`: from now on a search would fail."""
    return lambda: monkeypatch.setattr(batch_size, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))


def config_of(run):
    return parse_pipeline(run.pipeline_config.read_text(), where="pipeline.config").train_config


def rate_of(config):
    return config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate.learning_rate_base


def test_prepare_finds_it_once(given, no_more_searches):
    """It is in the pipeline.config with the rate of such a batch; the same command again, and the trainer, keep it."""
    auto = given(batch_size="auto")
    prepared = prepare.run(auto)
    run, usual = find_run(auto.models_dir, "r"), given(run="usual", batch_size="8")
    prepare.run(usual)
    rate = rate_of(config_of(find_run(usual.models_dir, "usual")))
    assert prepared.batch_size == config_of(run).batch_size == 3
    assert rate_of(config_of(run)) == pytest.approx(rate * math.sqrt(3 / 8))
    no_more_searches()
    assert prepare.run(auto).batch_size == 3
    assert prepare.changed_pipeline(run, prepare.settings_of_run(run, given())) is None
    changed = prepare.changed_pipeline(run, prepare.settings_of_run(run, given(learning_rate="0.01")))
    assert changed.config.train_config.batch_size == 3


def test_the_machine_that_trains_decides(given, monkeypatch):
    """A trainer elsewhere searches before the first checkpoint, and not after it."""
    auto = given(batch_size="auto")
    prepare.run(auto)
    run = find_run(auto.models_dir, "r")
    monkeypatch.setattr(memory, "training_memory", lambda: memory.Memory(1 << 33, "host"))
    settings = prepare.settings_of_run(run, given())
    changed = prepare.changed_pipeline(run, settings)
    assert changed.batch_size == 3 and "8.6 GB" in batch_size_record.read(run).machine
    run.checkpoint(5).with_name("ckpt-5.index").touch()
    monkeypatch.setattr(memory, "training_memory", lambda: memory.Memory(1 << 34, "host"))
    assert prepare.changed_pipeline(run, settings) is None


def test_a_container_without_gpus_leaves_it_to_the_trainer(given, monkeypatch):
    """`prepare` of compose and Kubernetes; `up` and `train` never do."""
    auto = given(batch_size="auto")
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "void")
    assert prepare.run(auto).batch_size == 8
    run = find_run(auto.models_dir, "r")
    assert batch_size_record.read(run) is None
    assert prepare.changed_pipeline(run, prepare.settings_of_run(run, given())).batch_size == 3
    assert prepare.run(auto).batch_size == 3


def test_a_trainer_that_runs_out_of_memory_names_the_batch_to_try(given, monkeypatch):
    """Exit code 7, by the error and in the heartbeat; the run goes on with the batch that was named."""

    def fail(*arguments):
        raise MemoryError("no more")

    prepare.run(given(batch_size="8"))
    monkeypatch.setattr(train, "_train", fail)
    monkeypatch.setattr(odapi_build, "verify", dict)
    monkeypatch.setattr(train.StopFlag, "listen", lambda flag: None)
    monkeypatch.setattr(train.sign_of_life, "give", lambda *given: None)
    settings = given(trial_secs="0")
    with refused(OutOfMemoryError, flag="--batch_size=4 ", about="no more"):
        train.run(settings)
    run = find_run(settings.models_dir, "r")
    assert "--batch_size=4 " in read_json(run.status("trainer"))["reason"]
    changed = prepare.changed_pipeline(run, prepare.settings_of_run(run, given(batch_size="4")))
    assert changed.batch_size == 4


def test_passes_of_an_update(given):
    """`auto` is the largest divisor of effective_batch_size that fits; the rate is that of the update."""
    auto = given(batch_size="auto", effective_batch_size="8")
    prepare.run(auto)
    run = find_run(auto.models_dir, "r")
    assert config_of(run).batch_size == 8
    assert checks.images_of_pass(run, auto) == 2
