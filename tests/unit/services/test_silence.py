"""How long a service has given no sign of life."""

from app.services.silence import START_SECONDS, Silence


class Clock:
    """Seconds that pass only when told to."""

    now = 0.0

    def __call__(self):
        return self.now


def ticks(silence, clock, seconds, step=1.0):
    """Whether it was over at any of the ticks."""
    found = False
    for _ in range(int(seconds / step)):
        clock.now += step
        found |= silence.is_over()
    return found


def test_a_sign_that_changes_ends_it():
    """It counts from the last change."""
    sign, clock = [0], Clock()
    silence = Silence(lambda: sign[0], 100, clock=clock)
    assert not ticks(silence, clock, 100 + START_SECONDS)
    sign[0] = 1
    assert not ticks(silence, clock, 101)
    assert ticks(silence, clock, 1)


def test_a_start_has_longer():
    """The mark that the last process has left is none of the new one."""
    clock = Clock()
    silence = Silence(lambda: 0, 100, clock=clock)
    assert ticks(silence, clock, 101 + START_SECONDS)
    silence.begin()
    assert not ticks(silence, clock, 100 + START_SECONDS)
    assert ticks(silence, clock, 1)


def test_time_in_which_nobody_looked_does_not_count():
    """The machine was suspended: the service could give none."""
    clock = Clock()
    silence = Silence(lambda: 0, 100, clock=clock)
    assert not ticks(silence, clock, 1_000_000, step=1_000_000)


def test_without_a_limit_it_lasts_for_ever():
    """0: never."""
    clock = Clock()
    assert not ticks(Silence(lambda: 0, 0, clock=clock), clock, 10_000)
