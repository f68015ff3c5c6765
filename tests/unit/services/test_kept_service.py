"""A service that comes back as long as that can help, with programs of a few lines in place of the real ones."""

import logging
import signal
import sys
import threading
import time

import fake_services as fake
import metadata_servers
import pytest
from fake_services import HEAD

from app.errors import Preempted, ServiceError, Stopped
from app.run import lock
from app.run.directory import Run
from app.run.heartbeat import Heartbeat, write_heartbeat
from app.services.kept_service import keep_service
from app.settings import Settings

ONCE_THEN = HEAD + "sys.path.insert(0, ''); n = run.root / 'n'; count = len(n.read_text()) if n.exists() else 0\n"
ONCE_THEN += "run.root.mkdir(exist_ok=True); n.write_text('x' * (count + 1))\n"
KILLED_ONCE = ONCE_THEN + "if not count: os.kill(os.getpid(), signal.SIGKILL)\n"
BUG_AFTER_PROGRESS = ONCE_THEN + "if count: sys.exit(0)\nwrite_text(run.root / 'ckpt-7.index', ''); sys.exit(1)\n"
BUG_AT_START = (
    ONCE_THEN + "write_heartbeat(run, 'trainer', state='failed', step=0, of=9, reason='a bug'); sys.exit(1)\n"
)
ALWAYS_KILLED = ONCE_THEN + "write_heartbeat(run, 'trainer', state='training', step=1, of=9)\n"
ALWAYS_KILLED += "os.kill(os.getpid(), signal.SIGKILL)\n"


@pytest.fixture
def run(tmp_path):
    """An empty run directory."""
    return Run(tmp_path / "r")


def keep(run, program, *words, name="trainer", restarts=3, preemption_notice="off", **settings):
    """Runs `program` as the service."""
    argv = [sys.executable, "-c", program, str(run.root), *map(str, words)]
    given = {"restarts": restarts, "preemption_notice": preemption_notice, **settings}
    keep_service(name, Settings(models_dir=run.root.parent, run=run.name, **given), argv)


def starts(run):
    return len((run.root / "n").read_text())


@pytest.mark.parametrize("program", [KILLED_ONCE, BUG_AFTER_PROGRESS])
def test_what_may_pass_is_tried_again(run, program, caplog):
    """A service that was killed, and one that failed for an unknown reason after it had made a checkpoint."""
    with caplog.at_level(logging.WARNING, "app"):
        keep(run, program)
    assert starts(run) == 2
    assert "restart 1 of 3" in caplog.text


def test_what_lasts_is_not_tried_again(run):
    """Divergence comes back; the run says so, and the error has the reason."""
    with pytest.raises(ServiceError) as caught:
        keep(run, fake.CRASH)
    assert (caught.value.exit_code, caught.value.where) == (6, str(run.root))
    assert "loss is not finite" in caught.value.what
    beat = Heartbeat.read(run, "trainer")
    assert (beat.state, beat.code, beat.reason) == ("failed", 6, "loss is not finite")
    assert beat.has_failed_for_good(time.time())


def test_an_error_of_unknown_cause_at_the_start_comes_again(run):
    """So it is not tried again."""
    with pytest.raises(ServiceError) as caught:
        keep(run, BUG_AT_START)
    assert (caught.value.exit_code, starts(run), Heartbeat.read(run, "trainer").code) == (1, 1, 1)


def test_gives_up_after_so_many_without_progress(run):
    """The heartbeat of one that was killed is made one of a failure."""
    with pytest.raises(ServiceError) as caught:
        keep(run, ALWAYS_KILLED, restarts=2)
    assert (caught.value.exit_code, starts(run)) == (128 + signal.SIGKILL, 3)
    beat = Heartbeat.read(run, "trainer")
    assert (beat.state, beat.code, beat.step) == ("failed", 128 + signal.SIGKILL, 1)


def test_another_trainer_is_not_said_to_have_failed(run):
    """One that is refused, since another works on the run, leaves that one's heartbeat."""
    write_heartbeat(run, "trainer", state="training", step=5, of=9)
    with lock.hold_service(run, "trainer"), pytest.raises(ServiceError) as caught:
        keep(run, "raise SystemExit(3)")
    assert caught.value.exit_code == 3
    assert Heartbeat.read(run, "trainer").state == "training"


def test_a_signal_is_passed_on(run):
    """The trainer saves and ends with its code, and is not started again."""
    timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGTERM])
    timer.start()
    with pytest.raises(Stopped) as caught:
        keep(run, fake.TRAINER, 9999, 0.01)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert run.checkpoint_steps() and Heartbeat.read(run, "trainer").state == "training"


def test_the_evaluator_fails_with_the_trainer(run):
    """It ends well when nothing is left to wait for; its service has the trainer's code."""
    write_heartbeat(run, "trainer", state="failed", step=3, of=9, reason="no space", code=3)
    with pytest.raises(ServiceError) as caught:
        keep(run, "pass", name="evaluator")
    assert (caught.value.exit_code, caught.value.what) == (3, "the trainer failed: no space")


def once(condition, act):
    """Calls `act` in a thread of its own when `condition` holds."""

    def wait():
        while not condition():
            time.sleep(0.02)
        act()

    threading.Thread(target=wait, daemon=True).start()


def test_notice_of_preemption_has_the_trainer_save(run, monkeypatch, caplog):
    """As SIGTERM does: exit code 143 with the cloud, the time and the step; the run says so, and goes on later."""
    with metadata_servers.aws() as server, caplog.at_level(logging.WARNING, "app"):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{server.address}")
        action = metadata_servers.spot_action(100)
        once(lambda: run.metrics.exists(), lambda: server.items.update({"spot/instance-action": action}))
        with pytest.raises(Preempted) as caught:
            keep(run, fake.TRAINER, 9999, 0.01, preemption_notice="aws")
    (step,) = run.checkpoint_steps()
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert caught.value.what.startswith("preempted: AWS takes this machine (terminate) at ")
    assert f"step {step} is saved" in caught.value.what
    beat = Heartbeat.read(run, "trainer")
    assert (beat.state, beat.step, beat.of) == ("preempted", step, 9999)
    assert beat.describe(time.time()).startswith("preempted: AWS takes this machine")
    assert not beat.has_failed_for_good(time.time() + 1e6)
    assert (
        "up to 8" in caplog.text or "up to 7" in caplog.text
    )  # seconds to save: what AWS leaves, not what is left elsewhere
    keep(run, fake.TRAINER, 3, 0.01)
    assert Heartbeat.read(run, "trainer").state == "done"


def test_the_evaluator_ends_by_its_own_notice(run, monkeypatch):
    """In its container it hears of it itself, whatever becomes of the trainer, and that one's heartbeat stays."""
    write_heartbeat(run, "trainer", state="training", step=5, of=9)
    with metadata_servers.gce() as server:
        monkeypatch.setenv("GCE_METADATA_HOST", server.address)
        once(lambda: run.status("evaluator").exists(), lambda: server.values.update(preempted="TRUE"))
        with pytest.raises(Preempted) as caught:
            keep(run, fake.EVALUATOR, name="evaluator", preemption_notice="auto")
    assert (caught.value.exit_code, run.checkpoint_steps()) == (143, [])
    assert Heartbeat.read(run, "evaluator").state == "preempted"
    assert Heartbeat.read(run, "trainer").state == "training"
