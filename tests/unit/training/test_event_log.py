"""What the trainer writes for TensorBoard, on a loop that computes nothing."""

import dataclasses
import logging
import math

import pytest

from app.events.budget import scalar_bytes
from app.run.directory import Run
from app.settings import Settings
from app.training.event_log import EventLog
from app.write_schedule import write_schedule

TAGS = ("Loss/total_loss", "Loss/classification_loss", "learning_rate")
IMAGE = 40_000


class Images:
    """Take so many bytes each; count bytes in `file`."""

    def __init__(self, file):
        self.file, self.wanted, self.written = file, False, []

    def want(self):
        self.wanted = True

    def write(self, step, may_write):
        assert self.wanted
        self.wanted = False
        if may_write(IMAGE):
            self.written.append(step)
            self.file.size += IMAGE


class File:
    size = 0


class Loop:
    """Writes to `file`; a loss with a spike."""

    def __init__(self, file, train_steps, step=0):
        self.file, self.train_steps, self.step, self.points = file, train_steps, step, {}

    def number(self, step):
        return 1e6 if step == 12_340 else 1 / (1 + step)

    def write_scalars(self, scalars):
        self.write_at(self.step, scalars)

    def write_at(self, step, scalars):
        self.points[step] = scalars
        self.file.size += scalar_bytes(scalars)

    def drive(self, events, until, scalars=True):
        """As the trainer does."""
        events.begin(self)
        every = 20
        while self.step < until:
            ahead = events.steps_until(self.step) or every
            steps = min(ahead, every - self.step % every, until - self.step)
            events.before_steps(self.step, steps)
            self.step += steps
            events.after_steps(self)
            if self.step % every == 0:
                events.write_scalars(self, dict.fromkeys(TAGS, self.number(self.step)))


def make(file, train_steps, step=0, *, limit, **given):
    settings = dataclasses.replace(Settings(), given=frozenset(given), **given)
    loop, images = Loop(file, train_steps, step), Images(file)
    schedule = write_schedule(settings, train_steps)
    events = EventLog(schedule, write_at=loop.write_at, images=images, limit=limit, spent=file.size)
    return loop, images, events


@pytest.mark.parametrize("limit", [100_000, 1_000_000, 20_000_000])
def test_a_run_keeps_to_its_limit(limit):
    """Scalars with first, last and extrema; images evenly."""
    file, steps = File(), 200_000
    loop, images, events = make(file, steps, limit=limit)
    loop.drive(events, steps)
    events.flush()
    assert file.size <= limit * 1.01
    spike = {step for step, scalars in loop.points.items() if scalars.get("Loss/total_loss") == 1e6}
    assert spike == {12_340}
    assert min(loop.points) == 20 and max(loop.points) == steps
    assert all(step % 200 == 0 for step in images.written)
    if limit > 100_000:
        assert images.written[0] == 200 and images.written[-1] > steps * 0.8


def test_restarts_keep_to_it_too():
    """What was written again after a kill counts; the rest is spread over what is left."""
    file, steps, limit = File(), 100_000, 2_000_000
    for begin in range(0, steps, 5000):
        # Killed 500 steps after the checkpoint: what is held back is lost, and the steps come again.
        loop, images, events = make(file, steps, begin, limit=limit)
        loop.drive(events, min(begin + 5500, steps))
    assert 0.5 * limit < file.size <= limit
    assert images.written


def test_more_steps_fit_as_well():
    """A run that has spent nearly all goes on with little."""
    file, limit = File(), 500_000
    loop, _, events = make(file, 50_000, limit=limit)
    loop.drive(events, 50_000)
    loop, _, events = make(file, 1_000_000, 50_000, limit=limit)
    loop.drive(events, 1_000_000)
    events.flush()
    assert file.size <= limit * 1.02


@pytest.mark.parametrize("limit", [1000, None])
def test_cadences_that_are_given_are_exact(limit, caplog):
    """The budget does not change them, and it is said what they will take."""
    file = File()
    loop, images, events = make(file, 2000, limit=limit, summary_every_n=20, image_summary_every_n=250)
    with caplog.at_level(logging.WARNING):
        loop.drive(events, 2000)
    assert sorted(loop.points) == list(range(20, 2001, 20))
    assert images.written == list(range(250, 2001, 250))
    said = [record.getMessage() for record in caplog.records]
    assert ["--image_summary_every_n" in line or "--summary_every_n" in line for line in said] == [True] * len(said)
    assert len(said) == (2 if limit else 0)


def test_a_step_with_images_is_a_call_of_its_own():
    """So that it is its batch that is looked at; without images the call is as long as it may be."""
    _, _, events = make(File(), 1000, limit=None)
    assert [events.steps_until(step) for step in (0, 198, 199)] == [199, 1, 1]
    loop, images, events = make(File(), 1000, limit=None, image_summary_every_n=0)
    assert events.steps_until(0) is None
    loop.drive(events, 1000)
    assert not images.written


def test_a_loss_that_is_no_number_is_held_too():
    """Beside the extrema of those that are."""
    file = File()
    loop, _, events = make(file, 100_000, limit=20_000)
    loop.number = lambda step: math.nan if step > 50_000 else step
    loop.drive(events, 100_000)
    events.flush()
    numbers = [scalars["learning_rate"] for scalars in loop.points.values() if "learning_rate" in scalars]
    assert any(math.isnan(number) for number in numbers)
    assert 50_000 in loop.points


def test_what_was_written_is_on_disk_before_a_save(tmp_path):
    """With what the event files take; a trainer that is killed then goes on from that save."""
    on_disk, loop = {}, Loop(File(), 100, step=40)
    schedule = write_schedule(Settings(), 100)
    events = EventLog(schedule, write_at=loop.write_at, limit=10**6, hand_over=lambda: on_disk.update(loop.points))
    run = Run(tmp_path)
    run.eval_events.mkdir()
    (run.eval_events / "events").write_bytes(b"x" * 70)
    events.begin(loop)
    events.before_save(loop, run)
    assert on_disk == {40: {"event_log_bytes": 70.0}}
