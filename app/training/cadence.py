"""When something that comes again is due: after so many steps, or after so many seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EverySteps:
    """Due at the multiples of `every` (steps); 0: never."""

    every: int

    def is_due(self, step: int) -> bool:
        return self.every > 0 and step % self.every == 0

    def mark(self) -> None:
        """Nothing: steps are counted from 0 on."""

    def steps_until(self, step: int) -> int | None:
        """Steps from `step` to the next multiple after it, None if there is none."""
        return self.every - step % self.every if self.every else None


class EverySeconds:
    """Due when `every` seconds have passed since it was last marked as done."""

    def __init__(self, every: float, clock: Callable[[], float] = time.monotonic):
        self.every, self._clock = every, clock
        self._last = clock()

    def is_due(self, step: int) -> bool:
        return self._clock() - self._last >= self.every

    def steps_until(self, step: int) -> int | None:
        """Seconds can't be foreseen in steps: 1 has the loop look after each."""
        return 1

    def mark(self) -> None:
        """Starts the seconds anew."""
        self._last = self._clock()
