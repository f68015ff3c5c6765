"""When a call of the training step is late."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import StalledError
from app.training import watchdog

LEAST = 300


class Clock:
    """Seconds that pass only when told to."""

    now = 0.0

    def __call__(self):
        return self.now


def passed(dog, clock, seconds, step=1.0):
    """Lets so many seconds pass with a tick after each `step`; what each late tick says."""
    late = []
    for _ in range(int(seconds / step)):
        clock.now += step
        dog.tick(late.append)
    return late


def warm(factor=50, first=1000, seconds=10):
    """A watchdog after its first call and five more of so many seconds."""
    clock = Clock()
    dog = watchdog.Watchdog(factor, first, LEAST, clock=clock)
    for _ in range(6):
        dog.begin_call(1)
        passed(dog, clock, seconds)
        dog.end_call()
    return dog, clock


def test_first_call_has_a_bound_of_its_own():
    """It compiles, and there is no median yet."""
    clock = Clock()
    dog = watchdog.Watchdog(50, 100, LEAST, clock=clock)
    dog.begin_call(1)
    assert not passed(dog, clock, 100)
    assert passed(dog, clock, 1) == ["a training step took 101 s, more than 100 s"]


def test_later_call_is_late_by_the_median_of_a_step():
    """The limit grows with the steps of the call."""
    dog, clock = warm()
    dog.begin_call(2)
    assert not passed(dog, clock, 1000)
    assert passed(dog, clock, 1) == ["a training step took 1001 s, more than 1000 s"]


def test_short_steps_have_the_least_limit():
    """Fifty times a second is a pause of a disk."""
    dog, clock = warm(seconds=1)
    dog.begin_call(1)
    assert not passed(dog, clock, LEAST)
    assert passed(dog, clock, 1)


def test_what_lies_between_steps_has_the_bound_of_the_first():
    """A save may take long, not for ever; the next one is counted anew."""
    dog, clock = warm(first=1000)
    assert not passed(dog, clock, 1000)
    dog.begin_call(1)
    dog.end_call()
    assert not passed(dog, clock, 1000)
    assert "between training steps" in passed(dog, clock, 1)[0]


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


BLOCKED = """
import os, sys
from functools import partial
from app.training import input_state, watchdog
fifo, bound = sys.argv[1], float(sys.argv[2])
watchdog.LAST_WORDS_SECONDS = 5
dog = watchdog.Watchdog(0, bound, 300)
dog.watch(partial(watchdog.end_process, describe_input=partial(input_state.describe_input, [fifo, __file__ or fifo]),
                  before_end=lambda error: LAST_WORDS))
def read_blocked():
    open(fifo)
dog.begin_call(1)
read_blocked()
"""


@pytest.mark.parametrize("last", ["print('told', flush=True)", "open(fifo)"], ids=["tells", "blocks"])
def test_late_call_ends_the_process_with_its_stacks(tmp_path, last):
    """The main thread reads a FIFO that nobody writes: stacks and file are on stderr, the code is documented."""
    fifo, program = tmp_path / "train-0.tfrecord", tmp_path / "blocked.py"
    os.mkfifo(fifo)
    program.write_text(BLOCKED.replace("LAST_WORDS)", f"{last})"))
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(program), str(fifo), "0.5"]
    end = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)
    assert end.returncode == StalledError.exit_code
    assert "read_blocked" in end.stderr
    assert f"1 of 2 files without an answer: {fifo}" in end.stderr
    assert ("told" in end.stdout) == last.startswith("print")
