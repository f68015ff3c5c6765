"""How long a service has given no sign of life."""

import time
from collections.abc import Callable

from app.settings import Settings

TICK_MOST_SECONDS = 5.0
"""What a tick counts at most: who looks was itself stopped meanwhile, or the machine suspended."""

START_SECONDS = 60.0
"""What a process has in addition to give its first: it is loaded from a slow disk."""


def silent_secs(settings: Settings) -> int:
    """Seconds that a service may give no sign of life; 0: any."""
    return settings.watchdog_least_secs if settings.watchdog_factor else 0


class Silence:
    """Counts the seconds since `sign()` changed, by the ticks of who looks: no clock that jumps counts.

    `limit`: seconds; 0: none.
    """

    def __init__(self, sign: Callable[[], object], limit: float, *, clock: Callable[[], float] = time.monotonic):
        self.limit, self._sign, self._clock = limit, sign, clock
        self.begin()

    def begin(self) -> None:
        """The service was started."""
        self._last = self._sign()
        self._seconds, self._ticked_at = -START_SECONDS, self._clock()

    def is_over(self) -> bool:
        """Whether it has lasted longer than the limit; to be asked every few seconds."""
        now, sign = self._clock(), self._sign()
        self._seconds += min(now - self._ticked_at, TICK_MOST_SECONDS)
        self._ticked_at = now
        if sign != self._last:
            self._last, self._seconds = sign, 0.0
        return 0 < self.limit < self._seconds
