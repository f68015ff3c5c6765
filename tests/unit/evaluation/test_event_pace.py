"""Which evaluations have images in TensorBoard."""

import dataclasses
import itertools

import pytest

from app.evaluation.event_pace import EventPace
from app.events.budget import EVALUATION_SHARE, scalar_bytes
from app.settings import Settings
from app.write_schedule import write_schedule

TAGS = [f"DetectionBoxes_Precision/mAP_{number}" for number in range(25)]
IMAGES = (120_000, 60_000, 60_000, 60_000)


def drive(steps, budget, *, restart_every=0, **given):
    """Every evaluation of a run; the bytes that it wrote, steps with scalars, steps with images."""
    settings = dataclasses.replace(Settings(), event_log_budget=budget, given=frozenset(given), **given)
    schedule = write_schedule(settings, steps)
    file, scalars, images = [0], [], []
    pace = None
    for number, step in enumerate(range(schedule.checkpoint_every_n, steps + 1, schedule.checkpoint_every_n)):
        if pace is None or (restart_every and number % restart_every == 0):
            pace = EventPace(schedule, steps, lambda: file[0])
        is_due = pace.begin_images(step)
        if number % pace.thinning(step, TAGS) == 0:
            scalars.append(step)
            written = scalar_bytes(TAGS)
        else:
            written = 0
        taken = [size for size in IMAGES if is_due and pace.take(step, size)]
        if len(taken) == len(IMAGES):
            images.append(step)
        file[0] += written + sum(taken)
    return file[0], scalars, images


@pytest.mark.parametrize("restart_every", [0, 7])
@pytest.mark.parametrize("steps", [1_000_000, 10_000_000])
@pytest.mark.parametrize(("text", "budget"), [("200MB", 200e6), ("20MB", 20e6)])
def test_evaluations_keep_to_their_share(steps, text, budget, restart_every):
    """Scalars of each where there is room, images from the first evaluation to the end of the run."""
    spent, scalars, images = drive(steps, text, restart_every=restart_every)
    assert spent <= budget * EVALUATION_SHARE + scalar_bytes(TAGS)
    if budget == 200e6:
        assert len(scalars) == steps // 1000
        assert len(images) > 50 and images[0] == 1000 and images[-1] > steps * 0.9
        longest = max(after - before for before, after in itertools.pairwise(images))
        assert longest < steps / 20


def test_a_short_run_has_all():
    """As without a budget."""
    assert drive(10_000, "200MB")[1:] == drive(10_000, "0")[1:]
    assert len(drive(10_000, "200MB")[2]) == 10


def test_a_cadence_that_is_given_stays():
    """Whatever it takes."""
    assert len(drive(1_000_000, "20MB", eval_image_every_n=3)[2]) == 1000
