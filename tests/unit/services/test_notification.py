"""Messages about a run, taken by a local web server as Apprise sends them."""

import logging
import socket
import sys
import time

import fake_services as fake
import metadata_servers
import pytest
import webhook
from refusals import refused

from app import jobs
from app.environment import as_environment, load
from app.errors import DetboxError, DivergedError, Preempted, ServiceError, SettingsError, Stopped
from app.jobs import prepare
from app.run import lock, provenance
from app.run.directory import Run
from app.run.evaluations import append_evaluation
from app.run.heartbeat import write_heartbeat
from app.run.run_end import write_done
from app.services import trio
from app.services.kept_service import keep_service
from app.services.notification import Notifier
from app.settings import Settings


@pytest.fixture
def run(tmp_path):
    """A run whose trainer is at step 40 of 200, evaluated at step 20."""
    run = Run(tmp_path / "wheels")
    write_heartbeat(run, "trainer", state="training", step=40, of=200)
    append_evaluation(run, {"step": 20, "metrics": {"DetectionBoxes_Precision/mAP": 0.31}}, {})
    return run


@pytest.fixture
def hook():
    """A web server that takes messages."""
    pytest.importorskip("apprise")
    with webhook.listening() as server:
        yield server


def notifier(run, hook, **settings):
    """A notifier to the web server alone."""
    return Notifier(run, Settings(notify=hook.address, **settings))


def text_of(hook):
    """The only message's body."""
    (message,) = hook.messages
    return message["message"]


def ends(one, error=None):
    """Has the block end with `error`, if one is given, and waits for the message."""
    with one.telling_end():
        if error:
            raise error
    one.finish()


def test_done(run, hook):
    """The run, the host, the step, the best, the reason and the code, in one line."""
    one = notifier(run, hook)
    with one.telling_end():
        write_done(run, step=200, of=200, reason="completed")
    one.finish()
    (message,) = hook.messages
    assert (message["title"], message["type"]) == ("detbox: wheels done", "success")
    for word in ("wheels", socket.gethostname(), "at step 200 of 200", "mAP 0.310 at step 20", "completed", "code 0"):
        assert word in message["message"]


def test_a_run_that_was_done_before_is_not_told_of_again(run, hook):
    """A second `up` of a finished run ends at once."""
    write_done(run, step=200, of=200, reason="completed")
    ends(notifier(run, hook))
    assert hook.messages == []


def test_failed(run, hook):
    """What, the remedy and the code."""
    one = notifier(run, hook)
    with pytest.raises(DivergedError):
        ends(one, DivergedError("the loss is not finite", remedy="a smaller learning rate"))
    one.finish()
    for word in ("failed at step 40 of 200", "the loss is not finite -> a smaller learning rate", "exit code 6"):
        assert word in text_of(hook)
    assert hook.messages[0]["type"] == "failure"


def test_an_error_that_is_not_ours_is_a_failure_too(run, hook):
    """Exit code 1."""
    one = notifier(run, hook)
    with pytest.raises(ZeroDivisionError):
        ends(one, ZeroDivisionError("by zero"))
    one.finish()
    assert "by zero (exit code 1)" in text_of(hook)


def test_preempted(run, hook):
    """When, the step that is saved, and that it goes on."""
    one = notifier(run, hook)
    with pytest.raises(Preempted):
        ends(one, Preempted("preempted: GCE takes this machine: step 40 is saved", remedy="the same command"))
    one.finish()
    assert "was preempted at step 40 of 200, best mAP 0.310 at step 20: GCE takes" in text_of(hook)
    assert "step 40 is saved -> the same command (exit code 143)" in text_of(hook)


def test_a_stop_that_was_wanted_is_not_told_of(run, hook):
    """Who pressed Ctrl-C knows."""
    one = notifier(run, hook, notify_on="done,failed,best,preempted")
    with pytest.raises(Stopped):
        ends(one, Stopped("SIGINT", signal_number=2))
    one.finish()
    assert hook.messages == []


def test_best_only_if_it_is_asked_for(run, hook):
    """A long run has many."""
    for events, count in (("done", 0), ("best , done", 1)):
        one = notifier(run, hook, notify_on=events)
        one.tell_best("DetectionBoxes_Precision/mAP", 60, 0.5)
        one.finish()
        assert len(hook.messages) == count
    assert "new best checkpoint: mAP 0.500 at step 60" in text_of(hook)


def test_another_trainers_run_has_not_failed(run, hook):
    """A second `up`, or `train`, is refused."""
    one = notifier(run, hook)
    with lock.hold_service(run, "trainer"), pytest.raises(SettingsError):
        ends(one, SettingsError("another trainer works on this run"))
    one.finish()
    assert hook.messages == []


@pytest.mark.parametrize("wrong", [{"status": 500}, {"hang": 5.0}])
def test_what_can_not_be_sent_is_a_line(run, hook, caplog, wrong):
    """Training is not held up, and the line has no secret in it."""
    vars(hook).update(wrong)
    one = notifier(run, hook, notify_on="best")
    started = time.monotonic()
    with caplog.at_level(logging.DEBUG):
        one.tell_best("mAP", 60, 0.5)
        assert time.monotonic() - started < 0.5
        one.finish(2.0)
    assert time.monotonic() - started < 4
    lines = [one.getMessage() for one in caplog.records if one.name.startswith("app.")]
    assert len(lines) == 1 and "json://" in lines[0]
    assert all(hook.SECRET not in record.getMessage() for record in caplog.records)


def test_nobody_there(run, hook, caplog):
    """Nor does an address that is closed end in more than a line."""
    one = Notifier(run, Settings(notify="json://127.0.0.1:9/x,jsons://127.0.0.1:9/y", notify_on="best"))
    one.tell_best("mAP", 60, 0.5)
    one.finish()
    assert sorted(record.args[0] for record in caplog.records if record.levelname == "WARNING") == [
        "json://",
        "jsons://",
    ]


@pytest.mark.parametrize(
    "address", ["slak://token-s3cr3t", "s3cr3t", "http://a.example/s3cr3t", "mailto://", "slack://s3cr3t"]
)
def test_an_address_that_apprise_can_not_read(run, address):
    """Is refused before anything is done; the line says which, and shows no more than its scheme."""
    pytest.importorskip("apprise")
    with refused(SettingsError, where="notify", flag="DETBOX_NOTIFY", about="address 1 of 1") as caught:
        Notifier(run, Settings(notify=address))
    assert "s3cr3t" not in str(caught.value)
    if "://" in address:
        with refused(SettingsError, about="address 2 of 2"):
            Notifier(run, Settings(notify=f"json://localhost/ok, {address}"))


def test_without_apprise(run, monkeypatch):
    """An extra that is not installed is refused with what installs it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with refused(SettingsError, where="notify", flag="detbox[notify]"):
        Notifier(run, Settings(notify="json://localhost"))
    for nobody in ("", "none"):
        Notifier(run, Settings(notify=nobody))


def test_an_event_that_is_none(run):
    """The nearest one is named."""
    with refused(SettingsError, where="notify_on", flag="failed"):
        Notifier(run, Settings(notify_on="done,faild"))


def test_addresses_are_written_nowhere(run, hook):
    """Neither into the run's files nor into what a traceback shows; a child process is given them."""
    settings = load({"notify": hook.address, "run": "r"}, {}, None)
    record = provenance.collect(settings, {}, None)
    assert hook.SECRET not in str(record) + repr(settings)
    assert as_environment(settings, {})["DETBOX_NOTIFY"] == hook.address


def test_the_service_that_is_kept_tells_of_its_end(tmp_path, hook, monkeypatch):
    """Once, of a failure for good and of a preemption; the process that it keeps has no address."""
    program = "import os; assert os.environ['DETBOX_NOTIFY'] == 'none'\n" + fake.CRASH
    run = Run(tmp_path / "r")
    settings = Settings(models_dir=tmp_path, run="r", restarts=3, notify=hook.address, preemption_notice="off")
    with pytest.raises(ServiceError):
        keep_service("trainer", settings, [sys.executable, "-c", program, str(run.root)])
    fake.wait_for(lambda: hook.messages)
    assert "has failed at step 3 of 9" in text_of(hook) and "exit code 6" in text_of(hook)
    hook.messages.clear()
    with metadata_servers.gce() as server:
        monkeypatch.setenv("GCE_METADATA_HOST", server.address)
        server.values["preempted"] = "TRUE"
        with pytest.raises(Preempted):
            given = Settings(models_dir=tmp_path, run="r", restarts=3, notify=hook.address, preemption_notice="gce")
            keep_service("trainer", given, [sys.executable, "-c", fake.TRAINER, str(run.root), "9999", "0.02"])
    fake.wait_for(lambda: hook.messages)
    assert "was preempted" in text_of(hook) and "GCE takes this machine" in text_of(hook)


def test_a_container_that_prepares_tells_of_its_failure(tmp_path, hook, monkeypatch):
    """No trainer will start. At a terminal somebody looks, and within `up` that tells."""
    settings = Settings(models_dir=tmp_path, run="r", dataset=str(tmp_path / "none"), notify=hook.address)
    for is_looked_at, trains_here in ((True, None), (False, True), (False, None)):
        monkeypatch.setattr(prepare, "has_terminal", lambda seen=is_looked_at: seen)
        with pytest.raises(DetboxError):
            prepare.run(settings, trains_here=trains_here)
        assert hook.messages == [] or not is_looked_at
    fake.wait_for(lambda: hook.messages)
    assert "run r on" in text_of(hook) and "has failed before it began" in text_of(hook)


def test_only_the_evaluator_is_given_addresses(run):
    """It tells of the best checkpoint; of the end whoever started the three."""
    services = trio.make_services(run, {"DETBOX_NOTIFY": "json://localhost"})
    assert [one.environ["DETBOX_NOTIFY"] for one in services] == ["none", "json://localhost", "none"]


def test_a_trainer_that_is_to_tell_is_looked_after(tmp_path):
    """By a process of its own, also without restarts; the one that is looked after is not again."""
    for command, notify, restarts, is_kept in (
        ("train", "json://localhost", 0, True), ("train", "none", 0, False), ("train", "", 0, False),
        ("train", "", 3, True), ("evaluate", "json://localhost", 0, False), ("up", "json://localhost", 3, False),
    ):  # fmt: skip
        assert jobs.is_kept(jobs.Job(command, Settings(notify=notify, restarts=restarts))) is is_kept
