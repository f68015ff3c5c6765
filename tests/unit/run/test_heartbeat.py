"""A service is healthy while its work advances, not while its process is there."""

import subprocess
import time

import pytest

from app.jobs import health
from app.run.directory import Run, find_run
from app.run.files import read_json, write_json
from app.run.heartbeat import Heartbeat, write_heartbeat
from app.settings import Settings

NOW = 1_000_000.0


def beat(state, *, quiet=0.0, still=0.0, reason="", step=40):
    """A heartbeat written `quiet` seconds ago by a service whose step last moved `still` seconds ago."""
    return Heartbeat(service="trainer", state=state, step=step, reason=reason, time=NOW - quiet, advanced=NOW - still)


@pytest.mark.parametrize(
    ("heartbeat", "healthy"),
    [
        (Heartbeat(service="trainer"), False),
        (beat("starting", reason="loading TensorFlow"), True),
        (beat("starting", reason="loading TensorFlow", quiet=3000), False),
        (beat("training", still=10), True),
        (beat("training", quiet=1, still=400), False),  # it beats, and hangs in a step
        (beat("training", still=400, reason="building the training step"), True),
        (beat("saving", quiet=10, still=10), True),
        (beat("evaluating", quiet=1800), True),
        (beat("evaluating", quiet=4000), False),
        (beat("waiting", quiet=3, still=9000), True),  # for a checkpoint that takes long
        (beat("waiting", quiet=200), False),
        (beat("stopped"), False),
        (beat("failed", reason="a loss is not finite"), False),
        (beat("done", quiet=90_000, still=90_000), True),
    ],
)
def test_progress_is_health(heartbeat, healthy):
    """Each state has its own patience; a stuck step is told from a slow start."""
    assert heartbeat.is_healthy(NOW) is healthy
    assert "\n" not in heartbeat.describe_progress(NOW)


def test_the_line_says_what_and_since_when():
    """docker inspect shows it."""
    assert beat("training", still=400).describe_progress(NOW) == "training at step 40, the step moved 400 s ago"
    assert beat("failed", reason="out of memory").describe_progress(NOW) == "failed at step 40 (out of memory)"


def test_heartbeat_keeps_since_while_the_state_lasts(tmp_path):
    """`since` is when the state began, `advanced` when the step last changed, `time` is now."""
    run, now = Run(tmp_path), [100.0]

    def beat(state, step):
        write_heartbeat(run, "trainer", state=state, step=step, of=9, clock=lambda: now[0])
        found = read_json(run.status("trainer"))
        now[0] += 10
        return found["time"], found["since"], found["advanced"]

    assert beat("waiting", 0) == (100, 100, 100)
    assert beat("waiting", 0) == (110, 100, 100)
    assert beat("training", 1) == (120, 120, 120)
    assert beat("training", 2) == (130, 120, 130)


def test_the_command_reads_the_run(tmp_path):
    """What a service writes is what is judged; the exit code is a healthcheck's."""
    settings, run = Settings(models_dir=tmp_path, run="r", service="evaluator"), find_run(tmp_path, "r")
    assert health.run(settings) == health.Health("evaluator", False, "has not started")
    write_heartbeat(run, "evaluator", state="waiting", step=3, of=0, reason="for the next checkpoint")
    found = health.run(settings)
    assert (found.exit_code, str(found)) == (
        0,
        "evaluator: waiting at step 3 (for the next checkpoint), last heartbeat 0 s ago",
    )


def test_a_service_that_failed_may_be_started_again():
    """For some minutes; a service that trains or has ended in order never counts as failed for good."""
    assert [beat("failed", quiet=quiet).has_failed_for_good(NOW) for quiet in (200, 400)] == [False, True]
    assert not beat("stopped", quiet=400).has_failed_for_good(NOW)


def test_an_old_heartbeat_is_described_as_stalled():
    """A service that trained long ago does not train now; one that is done is."""
    assert beat("training", quiet=30).describe(NOW) == "training"
    assert beat("training", quiet=250).describe(NOW) == "stalled: training, no heartbeat for 4:10"
    assert beat("done", quiet=9000).describe(NOW) == "done"
    assert beat("failed", reason="out of memory", quiet=9000).describe(NOW) == "failed: out of memory"


def test_a_wait_says_how_long():
    """From the begin of the state on."""
    waits = Heartbeat(service="evaluator", state="waiting", reason="for step 20", time=NOW, since=NOW - 12)
    assert waits.describe(NOW) == "waiting: for step 20 (12 s)"


@pytest.mark.parametrize("damage", [None, [], {}, {"state": None, "step": "x", "time": "y", "of": [], "since": {}}])
def test_a_damaged_heartbeat_is_read(tmp_path, damage):
    """As that of a service that has not started."""
    run = Run(tmp_path)
    write_json(run.status("trainer"), damage)
    found = Heartbeat.read(run, "trainer")
    assert (found.step, found.of, found.has_started) == (0, 0, False)
    assert not found.is_healthy(NOW) and not found.is_stalled(NOW)
    assert found.describe_progress(NOW) == "has not started"


def test_the_end_of_a_service_is_told_on_a_full_disk(tmp_path):
    """Who waits for the trainer has to hear that the disk has ended it; other heartbeats fail."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        run = Run(tmp_path / "r")
        write_heartbeat(run, "trainer", state="training", step=5, of=9)
        with pytest.raises(OSError, match="space"), open(tmp_path / "rest", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 1024)
        with pytest.raises(OSError, match="space"):
            write_heartbeat(run, "trainer", state="training", step=6, of=9)
        write_heartbeat(run, "trainer", state="failed", step=5, of=9, reason="no space left", code=3)
        beat = Heartbeat.read(run, "trainer")
        assert (beat.state, beat.code, beat.step, beat.reason) == ("failed", 3, 5, "no space left")
        assert beat.has_failed_for_good(time.time())
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_failure_of_before_does_not_count():
    """For who was started after it: the service may be about to start."""
    told = Heartbeat(service="trainer", state="failed", time=NOW - 5, code=6)
    assert [told.has_failed_for_good(NOW, since=since) for since in (NOW - 9, NOW - 1)] == [True, False]
    assert told.has_failed_for_good(NOW + 600, since=NOW - 1)
