"""Where the wall time of a trainer goes."""

import pytest

from app.run.directory import Run
from app.run.files import write_text
from app.run.goodput import Goodput, read_goodput
from app.training.time_account import TimeAccount


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def process(run, clock, *, step=0, imports=5):
    """The account of a trainer that began `imports` seconds ago and is now in its loop at `step`."""
    started = clock.now
    clock.now += imports
    account = TimeAccount(run, started, clock=clock, wall=clock)
    account.begin(step)
    clock.now += 20  # the first step
    account.switch("training")
    return account


def train(account, clock, seconds, *, saves=None):
    """So many seconds of steps, then a save of 2 s as the step `saves`."""
    clock.now += seconds
    if saves:
        account.switch("saving")
        clock.now += 2
        account.saved(saves, [saves])
    account.write()


def test_every_second_has_its_kind(run):
    """Start, first step, steps, saves; together the time that has passed."""
    clock = Clock()
    account = process(run, clock)
    train(account, clock, 100, saves=10)
    train(account, clock, 50)
    found = read_goodput(run)
    assert found.seconds() == {"training": 150, "saving": 2, "starting": 25, "lost": 0, "down": 0}
    assert found.total == clock.now - 1000
    assert (found.saves, found.failures, found.suggested_interval) == (1, 0, None)


def test_crash_costs_the_steps_since_the_checkpoint_and_the_gap(run):
    """The next start finds both; what it trains is added to what counts."""
    clock = Clock()
    account = process(run, clock)
    train(account, clock, 100, saves=10)
    train(account, clock, 50)
    clock.now += 300  # it was dead
    train(process(run, clock, step=10), clock, 10)
    found = read_goodput(run)
    assert found.seconds() == {"training": 110, "saving": 2, "starting": 50, "lost": 50, "down": 300}
    assert found.failures == 1


def test_stop_in_good_order_loses_nothing(run):
    """Nor was the run down in the week after it."""
    clock = Clock()
    account = process(run, clock)
    train(account, clock, 100, saves=10)
    account.write(in_progress=False)
    clock.now += 600_000
    train(process(run, clock, step=10), clock, 10)
    found = read_goodput(run)
    assert (found.training, found.lost, found.down, found.failures) == (110, 0, 0, 0)


def test_rollback_loses_steps_and_is_no_failure(run):
    """The same process begins again, further back than the newest checkpoint."""
    clock = Clock()
    account = process(run, clock)
    train(account, clock, 100)
    account.switch("saving")
    account.saved(10, [10])
    train(account, clock, 70)
    account.switch("saving")
    account.saved(20, [10, 20])
    train(account, clock, 30)
    account.begin(10)
    clock.now += 20
    account.switch("training")
    train(account, clock, 5)
    found = read_goodput(run)
    assert found.seconds() == {"training": 105, "saving": 0, "starting": 45, "lost": 100, "down": 0}
    assert found.failures == 0


def test_run_that_begins_anew_has_lost_all_its_steps(run):
    """Killed before its first checkpoint."""
    clock = Clock()
    train(process(run, clock), clock, 100)
    process(run, clock).write()
    found = read_goodput(run)
    assert (found.training, found.lost) == (0, 100)


def test_interval_is_youngs():
    """Saves of 4 s and a failure every 7200 s: sqrt(2 * 4 * 7200) = 240 s."""
    goodput = Goodput(training=14_000, saving=200, starting=200, down=9999, saves=50, failures=2)
    assert goodput.suggested_interval == 240
    assert goodput.describe_advice() == "2 failures: a checkpoint every 4 min 0 s loses the least time"


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"training": "x", "lost": -5, "training_at": [1], "time": null}'])
def test_damaged_account_begins_anew(run, text):
    """Its seconds are lost, the run is not."""
    write_text(run.goodput, text)
    clock = Clock()
    train(process(run, clock, step=10), clock, 10)
    assert read_goodput(run).training == 10


def test_clock_that_jumps_back_takes_no_seconds(run):
    """Wall time is asked for the gap alone, which is never less than none."""
    clock = Clock()
    train(process(run, clock), clock, 100, saves=10)
    clock.now = 10.0
    process(run, clock, step=10).write()
    assert read_goodput(run).down == 0
