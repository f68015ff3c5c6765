"""How a run's event logs keep to their budget."""

import itertools

import pytest

from app.events.budget import Pace, plan_scalars, scalar_bytes


def test_what_fits_is_written_as_often_as_asked():
    """No thinning without need."""
    assert plan_scalars(1_000_000, 1000, 500, is_exact=False, with_images=True).thinning == 1


@pytest.mark.parametrize("room", [0, 1, 1000, 100_000, 3_000_000])
def test_what_does_not_fit_is_thinned(room):
    """To a part of the room where there are images, however little there is."""
    plan = plan_scalars(room, 10_000, 500, is_exact=False, with_images=True)
    assert plan.thinning > 1 and plan.size <= max(room * 0.6 + 500, 500)


def test_a_cadence_that_was_given_stays():
    """Whatever it takes."""
    plan = plan_scalars(10, 10_000, 500, is_exact=True, with_images=False)
    assert (plan.thinning, plan.size) == (1, 5_000_000)


def test_the_size_of_a_scalar_is_that_of_tensorflow():
    """As measured on the files of its writer."""
    assert scalar_bytes(["Loss/classification_loss"]) == pytest.approx(84, abs=8)


@pytest.mark.parametrize("size", [50, 999, 10_000])
def test_images_come_evenly_and_within_the_room(size):
    """From the first on, to the last step."""
    pace, written = Pace(100_000, 1000, 11_000), []
    for step in range(1010, 11_001, 10):
        if pace.is_due(step) and pace.take(size):
            written.append(step)
    assert pace.spent <= 100_000
    if size == 50:
        assert len(written) == 1000
        return
    distances = [after - before for before, after in itertools.pairwise(written)][1:]
    assert written[0] == 1010 and written[-1] > 9000 and max(distances) - min(distances) <= 20


def test_without_a_limit_all_come():
    """And what they take is known."""
    pace = Pace(None, 0, 10)
    assert pace.is_due(1) and pace.take(10**12) and pace.is_due(2)


def test_without_room_none_comes():
    """A run that has spent it."""
    pace = Pace(0, 0, 10)
    assert not pace.is_due(5) and not pace.take(1)
