"""The copying of a run while it goes on: when, by whom, and what never stops training."""

import dataclasses
import json
import logging
import os
import sys
import threading
import time

import copied_runs
import pytest
from copied_runs import restored, upload, wipe, write_run
from moto.server import ThreadedMotoServer
from refusals import refused

from app import jobs
from app.errors import SettingsError, Stopped
from app.jobs import Job
from app.run.directory import Run
from app.run_copy.state import read_state
from app.run_copy.store import CopyStore, Unreachable
from app.services import run_copier
from app.services.kept_service import keep_service
from app.services.run_copier import RunCopier, kept_copy
from app.settings import Settings

WAIT_SECONDS = 20


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(run_copier, "TICK_SECONDS", 0.02)


@pytest.fixture
def run(tmp_path):
    """A run to copy."""
    return write_run(tmp_path / "models")


def settings_for(run, url, every=3600):
    return Settings(models_dir=run.root.parent, run=run.name, sync_to=url, sync_every_secs=every)


def wait_until(condition):
    until = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_new_checkpoint_is_copied_at_once(run, place):
    """Other changes wait for their time, and for the end."""
    with kept_copy(settings_for(run, place.url)):
        wait_until(lambda: read_state(run).step == 7)
        run.pipeline_config.write_text("changed")
        copied_runs.save(run, 8)
        wait_until(lambda: read_state(run).step == 8)
        run.pipeline_config.write_text("changed again")
    kept = copied_runs.files(run)
    wipe(run)
    assert restored(run, place.url).step == 8
    assert copied_runs.files(run) == kept


def test_changes_are_copied_every_so_often(run, tmp_path):
    """Logs, events, evaluations."""
    with kept_copy(settings_for(run, str(tmp_path / "copies"), every=1)):
        for _ in range(2):
            before = read_state(run).time
            wait_until(lambda: read_state(run).time > before)  # noqa: B023


def test_the_run_is_there_when_the_block_begins(run, place):
    """Restored from its copy, which then goes on from it."""
    upload(run, place.url)
    wipe(run)
    with kept_copy(settings_for(run, place.url)):
        assert run.checkpoint_steps() == [7]
        copied_runs.save(run, 9)
    assert read_state(run).step == 9
    assert not read_state(run).error


def test_prepare_restores_and_copies_nothing(run, place):
    """It would keep the trainer waiting."""
    upload(run, place.url)
    wipe(run)
    before = place.read("wheels/manifest.json")
    with kept_copy(settings_for(run, place.url), copies=False):
        assert run.checkpoint_steps() == [7]
        claimed = place.read("wheels/manifest.json")
        copied_runs.save(run, 9)
    assert before != claimed == place.read("wheels/manifest.json")


@pytest.mark.parametrize("value", ["", "none"])
def test_nothing_is_copied_that_is_not_to_be(run, value):
    """`none` is for one whose .env says otherwise."""
    with kept_copy(settings_for(run, value)):
        pass
    assert not run.copy_state.exists()


def test_a_command_has_its_run_restored(run, place, monkeypatch):
    """Before it looks for it; others do not ask the store at all."""
    upload(run, place.url)
    wipe(run)
    seen = []
    monkeypatch.setattr(jobs, "load", lambda name: lambda settings: seen.append((name, run.checkpoint_steps())))
    jobs.run(Job("status", settings_for(run, "s3://no-such-bucket")))
    jobs.run(Job("evaluate", settings_for(run, place.url)))
    assert seen == [("status", []), ("evaluate", [7])]


@pytest.mark.parametrize(("command", "detach", "worker"), [("up", True, 0), ("train", False, 1)])
def test_some_leave_it_to_another(run, monkeypatch, command, detach, worker):
    """An `up` that starts one in the background, and a worker that is not the chief."""
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": worker}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    monkeypatch.setattr(jobs, "load", lambda name: lambda settings: name)
    settings = dataclasses.replace(settings_for(run, "s3://no-such-bucket"), detach=detach)
    assert jobs.run(Job(command, settings)) == command
    assert not run.copy_state.exists()


def test_what_a_service_starts_does_not_copy_as_well(run, tmp_path):
    """Whatever .env says: the process that looks after it does."""
    program = "import os, sys; sys.exit(os.environ['DETBOX_SYNC_TO'] != 'none')"
    settings = Settings(models_dir=run.root.parent, run=run.name, sync_to=str(tmp_path / "copies"), restarts=1)
    keep_service("trainer", settings, [sys.executable, "-c", program])


@pytest.mark.parametrize("place_of", [lambda run: run.root.parent, lambda run: run.root / "copies"])
def test_a_run_is_not_copied_into_itself(run, place_of):
    """Nor over itself."""
    with refused(SettingsError, flag="sync_to"), kept_copy(settings_for(run, str(place_of(run)))):
        pass


def test_a_run_that_can_not_be_prepared_leaves_nothing(tmp_path):
    """Neither here nor there."""
    run = Run(tmp_path / "models" / "wheels")
    with pytest.raises(SettingsError), kept_copy(settings_for(run, str(tmp_path / "copies"))):
        time.sleep(0.1)
        raise SettingsError("no such model")
    assert not run.root.exists()
    assert [path for path in (tmp_path / "copies").rglob("*") if path.is_file()] == []


def test_a_store_that_does_not_answer_stops_a_run_that_may_be_there(run, stub, caplog):
    """A run with its steps here goes on, with a warning; one that may have some there does not begin anew."""
    stub.status = 503
    with kept_copy(settings_for(run, "s3://bucket/models"), copies=False):
        assert len(caplog.records) == 1
    wipe(run)
    with pytest.raises(Unreachable), kept_copy(settings_for(run, "s3://bucket/models"), copies=False):
        pass


def test_a_store_that_goes_and_comes_back_is_told_once_each(run, credentials, bucket, monkeypatch, caplog):
    """Training goes on meanwhile; what it has done is copied after."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setattr(run_copier, "LONGEST_WAIT", 0.2)
    caplog.set_level(logging.INFO, "app")
    with kept_copy(settings_for(run, "s3://bucket/models")):
        wait_until(lambda: read_state(run).step == 7)
        server.stop()
        for step in (8, 9):
            copied_runs.save(run, step)
            wait_until(lambda: read_state(run).failures >= step - 7)  # noqa: B023
        assert "failed" in read_state(run).describe(time.time())
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
        wait_until(lambda: read_state(run).step == 9)
    server.stop()
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert "very-secret" not in caplog.text


def test_the_last_copy_after_a_signal_is_bounded(run, stub, monkeypatch, caplog):
    """A machine that is taken away does not wait for a store that hangs."""
    monkeypatch.setattr(run_copier, "LAST_SECONDS", 0.5)
    monkeypatch.setattr(run_copier, "_prepare_store", lambda run, store: None)
    stub.seconds = 30.0
    began = time.monotonic()
    with pytest.raises(Stopped), kept_copy(settings_for(run, "s3://bucket/models")):
        raise Stopped("SIGTERM", signal_number=15)
    assert time.monotonic() - began < 5
    assert caplog.records[-1].levelname == "WARNING"


def test_one_process_copies_and_the_next_one_takes_over(run, tmp_path):
    """The trainer's and the evaluator's: the one that is there longer copies what came after."""
    url = str(tmp_path / "copies")
    copiers = [RunCopier(run, CopyStore(url, run.name), 3600) for _ in range(2)]
    for copier in copiers:
        copier.start()
        wait_until(lambda: read_state(run).step == 7)
    copied_runs.save(run, 8)
    copiers[0].finish()
    assert read_state(run).step == 8
    copied_runs.save(run, 9)
    copiers[1].finish()
    assert read_state(run).step == 9


def test_a_machine_that_was_given_up_says_so_once_and_trains_on(run, place, caplog):
    """It comes back when its run has gone on elsewhere."""
    upload(run, place.url)
    os.rename(run.root, run.root.with_name("elsewhere"))
    assert restored(run, place.url)
    stale = Run(run.root.with_name("elsewhere"))
    copier = RunCopier(stale, CopyStore(place.url, run.name), 3600)
    copier.start()
    wait_until(lambda: caplog.records)
    copied_runs.save(stale, 8)
    time.sleep(0.2)
    copier.finish()
    assert len(caplog.records) == 1
    assert str(stale.root) in caplog.text


def test_whatever_fails_training_goes_on(run, tmp_path, monkeypatch, caplog):
    """Also what nobody thought of."""
    monkeypatch.setattr("app.run_copy.upload.iterate_units", lambda run: 1 / 0)
    with kept_copy(settings_for(run, str(tmp_path / "copies"))):
        wait_until(lambda: read_state(run).failures)
    assert "ZeroDivisionError" in caplog.text
    assert threading.active_count() < 20
