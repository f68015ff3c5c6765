"""A service is healthy while its work advances, not while its process is there."""

import pytest

from app.run import health
from app.run.directory import find_run
from app.run.heartbeat import write_heartbeat

NOW = 1_000_000.0


def beat(state, *, quiet=0.0, still=0.0, reason="", step=40):
    """A heartbeat written `quiet` seconds ago by a service whose step last moved `still` seconds ago."""
    return {"state": state, "step": step, "reason": reason, "time": NOW - quiet, "advanced": NOW - still}


@pytest.mark.parametrize(
    ("heartbeat", "healthy"),
    [
        (None, False),
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
    verdict = health.health_of("trainer", heartbeat, NOW)
    assert verdict.healthy is healthy
    assert verdict.exit_code == (0 if healthy else 1)
    assert "\n" not in str(verdict)


def test_the_line_says_what_and_since_when():
    """docker inspect shows it."""
    verdict = health.health_of("trainer", beat("training", still=400), NOW)
    assert str(verdict) == "trainer: training at step 40, the step moved 400 s ago"


def test_it_reads_the_run(tmp_path):
    """What runs.beat writes is what is judged."""
    run = find_run(tmp_path, "r")
    assert not health.look(run, "evaluator").healthy
    write_heartbeat(run, "evaluator", state="waiting", step=3, of=0, reason="for the next checkpoint")
    assert health.look(run, "evaluator").healthy
