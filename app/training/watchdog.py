"""A training step, or what lies between two, that does not come back: what is known is written, the process ends."""

import faulthandler
import logging
import os
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from app.errors import StalledError

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
TICK_MOST_SECONDS = 5.0
"""What a tick counts at most: a stopped process or a suspended machine makes no step, and is not late for it."""
MEDIAN_OF = 101
LAST_WORDS_SECONDS = 15.0
"""What the last words may take: they go to the disk that may be what hangs."""


class Watchdog:
    """Counts the seconds of a call of the training step, and of what comes before, between and after.

    `factor`: a call is late after so many times the median, and `least` seconds; `first_timeout`: seconds for the first
    call, which compiles, and for all that is no call, such as a save. `factor` or `first_timeout` 0: no limit.
    """

    def __init__(
        self, factor: float, first_timeout: float, least: float, *, clock: Callable[[], float] = time.monotonic
    ):
        self.factor, self.first_timeout, self.least = factor, first_timeout, least
        self._clock = clock
        self._seconds_per_step: deque[float] = deque(maxlen=MEDIAN_OF)
        self._is_first = True
        self._steps, self._elapsed, self._ticked_at = 0, 0.0, clock()
        self._lock = threading.Lock()

    def begin_run(self) -> None:
        """A loop begins, whose first call compiles."""
        with self._lock:
            self._begin(steps=0)
            self._is_first = True
            self._seconds_per_step.clear()

    def begin_call(self, steps: int) -> None:
        """A call of so many steps begins."""
        with self._lock:
            self._begin(steps)

    def end_call(self) -> None:
        """The call came back."""
        with self._lock:
            if not self._steps:
                return
            self._count()
            if not self._is_first:
                self._seconds_per_step.append(self._elapsed / self._steps)
            self._is_first = False
            self._begin(steps=0)

    def limit(self) -> float:
        """Seconds that what is in progress may take; 0: no limit."""
        if not self._steps or not self._seconds_per_step:
            return self.first_timeout
        return max(self.least, self.factor * statistics.median(self._seconds_per_step) * self._steps) * bool(
            self.factor
        )

    def tick(self, on_late: Callable[[str], None]) -> None:
        """Calls `on_late(what)` if what is in progress is late; it can't come back meanwhile."""
        with self._lock:
            self._count()
            limit = self.limit()
            if limit and self._elapsed > limit:
                doing = "a training step" if self._steps else "what is done between training steps, such as a save,"
                on_late(f"{doing} took {self._elapsed:.0f} s, more than {limit:.0f} s")

    def watch(self, on_late: Callable[[str], None]) -> None:
        """Ticks in a thread of its own until the process ends."""

        def loop() -> None:
            while True:
                time.sleep(TICK_SECONDS)
                self.tick(on_late)

        if self.factor or self.first_timeout:
            threading.Thread(target=loop, name="watchdog", daemon=True).start()

    def _begin(self, steps: int) -> None:
        self._steps, self._elapsed, self._ticked_at = steps, 0.0, self._clock()

    def _count(self) -> None:
        now = self._clock()
        self._elapsed += min(now - self._ticked_at, TICK_MOST_SECONDS)
        self._ticked_at = now


def end_process(
    what: str, *, describe_input: Callable[[], list[str]], before_end: Callable[[StalledError], None]
) -> None:
    """Writes all stacks and the state of the input to stderr, then ends with StalledError's code.

    No exception would do: the main thread is inside the call.
    """
    error = StalledError(
        what, where="train", remedy="it is started again from its last checkpoint; the stacks are in its log"
    )

    def speak() -> None:
        print(f"detbox: error: {error}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
        for line in describe_input():
            print(f"input: {line}", file=sys.stderr, flush=True)
        before_end(error)

    words = threading.Thread(target=speak, daemon=True)
    words.start()
    words.join(LAST_WORDS_SECONDS)
    os._exit(StalledError.exit_code)
