"""The search for the largest batch, on machines that are a few numbers."""

import pytest
from refusals import refused

from app.errors import OutOfMemoryError, SettingsError
from app.pipeline.batch_search import Found, Try, search


class Machine:
    """A machine with memory for `room` images, `speed(n)` images/s; it counts what it was asked."""

    def __init__(self, room: int, speed=lambda n: float(n)):
        self.room, self.speed, self.asked = room, speed, []

    def __call__(self, n: int) -> Try:
        self.asked.append(n)
        return Try(n, n <= self.room, n, self.speed(n), "" if n <= self.room else "run out of memory")


def found(machine: Machine, sizes=range(1, 4097), **more) -> Found:
    """What the search finds; no size was tried twice, and none that is not offered."""
    result = search(machine, sizes, **more)
    assert len(set(machine.asked)) == len(machine.asked) and set(machine.asked) <= set(sizes)
    assert [one.images for one in result.tries] == machine.asked
    return result


@pytest.mark.parametrize("room", [1, 2, 3, 5, 7, 8, 9, 31, 100, 1000, 2047])
def test_largest_that_fits(room):
    """It fits, and what is an eighth larger does not; it takes no more than two tries for each doubling."""
    machine = Machine(room)
    size = found(machine).images
    assert size <= room <= size + max(1, size // 8)
    assert len(machine.asked) <= 2 * room.bit_length() + 1


def test_doubles_then_bisects():
    """The order of the tries."""
    machine = Machine(11)
    result = found(machine)
    assert machine.asked == [1, 2, 4, 8, 16, 12, 10, 11] and result.images == 11
    assert result.why.startswith("12 run out of memory")


@pytest.mark.parametrize(("room", "asked"), [(20, [8, 16, 32, 24, 20, 22]), (5, [8, 4, 6, 5]), (1, [8, 4, 2, 1])])
def test_begins_where_it_is_told_to(room, asked):
    """Upwards from there if it fits, else downwards."""
    machine = Machine(room)
    assert found(machine, start=8).images == room and machine.asked == asked
    with refused(OutOfMemoryError, about="1 run out"):
        search(Machine(0), range(1, 9), start=8)
    assert search(Machine(9), range(1, 5), start=8).images == 4


def test_nothing_fits():
    """Exit code 7, with what to change."""
    with refused(OutOfMemoryError, flag="--image_size", about="1 run out of memory"):
        search(Machine(0), range(1, 9))


def test_the_smallest_takes_too_long():
    """Exit code 3: the remedy is time, not memory."""
    with refused(SettingsError, flag="--trial_secs"):
        search(lambda n: Try(n, False, why="took more than 3 s", is_late=True), range(1, 9))


def test_ends_where_images_per_second_no_longer_grow():
    """The smaller of two batches that are as fast, with both figures."""
    machine = Machine(1000, speed=lambda n: min(n, 8) * (1 + n / 10_000))
    result = found(machine)
    assert result.images == 8 and machine.asked == [1, 2, 4, 8, 16]
    assert "16 give 8.01 images/s, 8 8.01" in result.why


def test_speed_does_not_count_where_memory_alone_decides():
    """As on a GPU."""
    assert found(Machine(1000, speed=lambda n: 1.0), least_gain=None).images >= 889


def test_no_more_than_there_are():
    """The last of the sizes is tried, and taken if it fits."""
    machine = Machine(10**6)
    assert found(machine, range(1, 51)).images == 50 and machine.asked[-2:] == [32, 50]
    assert found(Machine(10**6), [6]).images == 6


def test_only_sizes_that_are_offered():
    """Such as divisors of a wanted batch, or multiples of the number of GPUs."""
    divisors = [1, 2, 3, 4, 6, 8, 12, 16, 24, 48]
    assert [found(Machine(room), divisors).images for room in (1, 3, 5, 15, 23, 47, 48)] == [1, 3, 4, 12, 16, 24, 48]
    assert found(Machine(100), range(4, 4097, 4)).images == 96
    assert found(Machine(3), [1, 2, 3, 100]).images == 3
