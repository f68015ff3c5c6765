"""When a call of the training step is late."""

import subprocess
import sys

from app.errors import StalledError
from app.training import watchdog


class Clock:
    """Seconds that pass only when told to."""

    now = 0.0

    def __call__(self):
        return self.now


def passed(dog, clock, seconds, step=1.0):
    """Lets so many seconds pass with a tick after each `step`; the (seconds, limit) of each late tick."""
    late = []
    for _ in range(int(seconds / step)):
        clock.now += step
        dog.tick(lambda *figures: late.append(figures))
    return late


def warm(factor=50, first=1000, seconds=10):
    """A watchdog after its first call and five more of so many seconds."""
    clock = Clock()
    dog = watchdog.Watchdog(factor, first, clock=clock)
    for _ in range(6):
        dog.begin_call(1)
        passed(dog, clock, seconds)
        dog.end_call()
    return dog, clock


def test_first_call_has_a_bound_of_its_own():
    """It compiles, and there is no median yet."""
    clock = Clock()
    dog = watchdog.Watchdog(50, 100, clock=clock)
    dog.begin_call(1)
    assert not passed(dog, clock, 100)
    assert passed(dog, clock, 1) == [(101, 100)]


def test_later_call_is_late_by_the_median_of_a_step():
    """The limit grows with the steps of the call."""
    dog, clock = warm()
    dog.begin_call(2)
    assert not passed(dog, clock, 1000)
    assert passed(dog, clock, 1) == [(1001, 1000)]


def test_short_steps_have_the_least_limit():
    """Fifty times a second is a pause of a disk."""
    dog, clock = warm(seconds=1)
    dog.begin_call(1)
    assert not passed(dog, clock, watchdog.LEAST_SECONDS)
    assert passed(dog, clock, 1)


def test_nothing_is_counted_between_calls():
    """A save or an evaluation may take as long as it takes."""
    dog, clock = warm()
    assert not passed(dog, clock, 10_000)


def test_stopped_process_is_not_late():
    """A gap between ticks counts as one long tick at most."""
    dog, clock = warm()
    dog.begin_call(1)
    assert not passed(dog, clock, 100_000, step=100_000)
    assert not passed(dog, clock, 400)
    assert passed(dog, clock, 200)


def test_zero_turns_it_off():
    """Neither the first nor a later call is late."""
    dog, clock = warm(factor=0, first=0)
    dog.begin_call(1)
    assert not passed(dog, clock, 10_000)


def test_late_call_ends_the_process_with_its_stacks():
    """The main thread blocks in a FIFO; stderr has its stack, the code is the documented one."""
    script = (
        "import os, tempfile\nfrom functools import partial\nfrom app.training import watchdog\n"
        "watchdog.TICK_SECONDS = 0.02\ndog = watchdog.Watchdog(0, 0.1)\n"
        "dog.watch(partial(watchdog.end_process, before_end=lambda error: print('told', flush=True)))\n"
        "path = tempfile.mkdtemp() + '/fifo'\nos.mkfifo(path)\n"
        "def read_blocked():\n    open(path)\n"
        "dog.begin_call(1)\nread_blocked()\n"
    )
    end = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert end.returncode == StalledError.exit_code
    assert "read_blocked" in end.stderr
    assert "told" in end.stdout
