"""What workers agree on, each in a thread that waits for the others as a collective does."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from app.training.agreement import EVERY_STEPS_MOST, Agreement


class Total:
    """The sums over so many threads, which each call returns when all have called."""

    def __init__(self, parties):
        self._barrier, self._lock, self._given = threading.Barrier(parties), threading.Lock(), []

    def __call__(self, numbers):
        with self._lock:
            self._given.append(list(numbers))
        self._barrier.wait(timeout=10)
        sums = [sum(place) for place in zip(*self._given, strict=True)]
        if self._barrier.wait(timeout=10) == 0:
            self._given.clear()
        self._barrier.wait(timeout=10)
        return sums


def ask(agreements, step, *wishes):
    """What each of the agreements comes to at `step`, asked at once."""
    none = {"signal": None, "request": False, "save": False}
    with ThreadPoolExecutor(len(agreements)) as pool:
        asked = [pool.submit(one.agree, step, **none | wish) for one, wish in zip(agreements, wishes, strict=True)]
        return [one.result() for one in asked]


def pair(clock):
    total = Total(2)
    return [Agreement(total, is_chief=is_chief, clock=clock) for is_chief in (True, False)]


def test_a_signal_to_any_worker_is_one_to_all():
    """Whoever got it: all stop at the step at which they were asked."""
    chief, other = agreements = pair(lambda: 0.0)
    first = ask(agreements, 0, {}, {"signal": signal.SIGTERM})
    assert [agreed.signal for agreed in first] == [signal.SIGTERM] * 2
    assert chief.steps_until(0) == other.steps_until(0) == 1


def test_files_and_clock_are_the_chiefs():
    """What another worker reads of them does not count: it may see them later."""
    agreements = pair(lambda: 0.0)
    assert not any(agreed.request or agreed.save for agreed in ask(agreements, 0, {}, {"request": True, "save": True}))
    assert all(agreed.request and agreed.save for agreed in ask(agreements, 1, {"request": True, "save": True}, {}))


def test_they_ask_about_once_a_second():
    """At a step that all know beforehand, however fast the chief is."""
    now = [0.0]
    chief, other = agreements = pair(lambda: now[0])
    ask(agreements, 0, {}, {})
    now[0] = 0.5
    ask(agreements, 1, {}, {})
    assert chief.steps_until(1) == other.steps_until(1) == 2
    now[0] = 0.5001
    ask(agreements, 3, {}, {})
    assert chief.steps_until(3) == other.steps_until(3) == EVERY_STEPS_MOST
    assert other.steps_until(50) == EVERY_STEPS_MOST - 47
