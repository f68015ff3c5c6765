"""A call of the training step that does not come back: what is known of it is written, and the process ends."""

import faulthandler
import logging
import os
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

import psutil

from app.errors import StalledError

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
TICK_MOST_SECONDS = 5.0
"""What a tick counts at most: a stopped process or a suspended machine makes no step, and is not late for it."""
LEAST_SECONDS = 300.0
"""No later call is late before: a new image shape has the GPU's libraries tune, and a slow disk may pause for long."""
MEDIAN_OF = 101


class Watchdog:
    """Counts the seconds of the call in progress. Between calls (saves, events) nothing is counted.

    `factor`: a call is late after so many times the median; `first_timeout`: seconds for the first; 0: never.
    """

    def __init__(self, factor: float, first_timeout: float, *, clock: Callable[[], float] = time.monotonic):
        self.factor, self.first_timeout = factor, first_timeout
        self._clock = clock
        self._seconds_per_step: deque[float] = deque(maxlen=MEDIAN_OF)
        self._is_first = True
        self._steps, self._elapsed, self._ticked_at = 0, 0.0, 0.0
        self._lock = threading.Lock()

    def begin_run(self) -> None:
        """A loop begins, whose first call compiles."""
        with self._lock:
            self._is_first, self._steps = True, 0
            self._seconds_per_step.clear()

    def begin_call(self, steps: int) -> None:
        """A call of so many steps begins."""
        with self._lock:
            self._steps, self._elapsed, self._ticked_at = steps, 0.0, self._clock()

    def end_call(self) -> None:
        """The call came back."""
        with self._lock:
            if not self._steps:
                return
            self._count()
            if not self._is_first:  # the first compiles
                self._seconds_per_step.append(self._elapsed / self._steps)
            self._is_first, self._steps = False, 0

    def limit(self) -> float:
        """Seconds that the call in progress may take; 0: no limit."""
        if self._is_first or not self._seconds_per_step:
            return self.first_timeout
        if not self.factor:
            return 0.0
        return max(LEAST_SECONDS, self.factor * statistics.median(self._seconds_per_step) * self._steps)

    def tick(self, on_late: Callable[[float, float], None]) -> None:
        """Calls `on_late(seconds, limit)` if the call is late; it can't come back meanwhile."""
        with self._lock:
            if not self._steps:
                return
            self._count()
            limit = self.limit()
            if limit and self._elapsed > limit:
                on_late(self._elapsed, limit)

    def watch(self, on_late: Callable[[float, float], None]) -> None:
        """Ticks in a thread of its own until the process ends."""

        def loop() -> None:
            while True:
                time.sleep(TICK_SECONDS)
                self.tick(on_late)

        if self.factor or self.first_timeout:
            threading.Thread(target=loop, name="watchdog", daemon=True).start()

    def _count(self) -> None:
        now = self._clock()
        self._elapsed += min(now - self._ticked_at, TICK_MOST_SECONDS)
        self._ticked_at = now


def end_process(seconds: float, limit: float, *, before_end: Callable[[StalledError], None]) -> None:
    """Writes all stacks and the files that are being read to stderr, then ends with StalledError's code.

    No exception would do: the main thread is inside the call.
    """
    error = StalledError(
        f"a step took {seconds:.0f} s, more than {limit:.0f} s",
        where="train",
        remedy="it is started again from its last checkpoint; the stacks are in its log",
    )
    try:
        print(f"detbox: error: {error}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(sys.stderr, all_threads=True)
        for line in describe_input():
            print(f"detbox: input: {line}", file=sys.stderr, flush=True)
        before_end(error)
    finally:
        os._exit(StalledError.exit_code)


def describe_input() -> list[str]:
    """The open record files with the byte that each is read at."""
    files = [file for file in psutil.Process().open_files() if ".tfrecord" in file.path or ".record" in file.path]
    return [f"{file.path} at byte {getattr(file, 'position', '?')}" for file in files] or ["no record file is open"]
