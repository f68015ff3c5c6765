"""What the workers of a run do at the same step: each has its own clock and signals, and every step needs them all."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.training.stop import SIGNALS

EVERY_SECONDS = 1.0
EVERY_STEPS_MOST = 100


@dataclass(frozen=True)
class Agreed:
    """`signal`: that one of them got; `request`, `save`: what the chief's files and its clock ask for."""

    signal: int | None = None
    request: bool = False
    save: bool = False


class Agreement:
    """Asks all workers about once a second, at steps that the chief's pace sets and all know beforehand.

    `total` adds up the numbers of all workers, place by place; it returns when each of them has called it.
    """

    def __init__(
        self,
        total: Callable[[Sequence[int]], list[int]],
        *,
        is_chief: bool,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._total, self._is_chief, self._clock = total, is_chief, clock
        self._asked_step, self._asked_at, self._next = -1, clock(), 0

    def steps_until(self, step: int) -> int:
        """Steps from `step` to the next question."""
        return max(self._next - step, 0)

    def agree(self, step: int, *, signal: int | None, request: bool, save: bool) -> Agreed:
        """What all do at `step`. To be called by every worker at the same step, when `steps_until` is 0."""
        of_chief = [int(request), int(save), self._pace(step)] if self._is_chief else [0, 0, 0]
        votes = self._total([*(int(signal == number) for number in SIGNALS), *of_chief])
        *signals, asked, due, ahead = votes
        self._next = step + max(ahead, 1)
        signalled = [number for number, count in zip(SIGNALS, signals, strict=True) if count]
        return Agreed(signalled[0] if signalled else None, asked > 0, due > 0)

    def _pace(self, step: int) -> int:
        """Steps that a second has, by those since the last question."""
        now, before = self._clock(), self._asked_at
        steps = step - self._asked_step if self._asked_step >= 0 else 0
        self._asked_step, self._asked_at = step, now
        return max(1, min(EVERY_STEPS_MOST, int(EVERY_SECONDS * steps / max(now - before, 1e-9))))
