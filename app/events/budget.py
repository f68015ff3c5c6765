"""How a run's event logs keep to a number of bytes: how often scalars are written, whether there is room for an image.

Training and evaluation are two processes with an event file each, so each has its share, and counts what it has spent
from the files that are there: that holds over stops, resumes and kills.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

TRAINING_SHARE, EVALUATION_SHARE = 0.63, 0.35
"""Of the budget; the rest is for what files have besides values."""
SCALAR_SHARE = 0.6
"""Of what training has left, at most, where images are written too."""
POINTS = 4
"""Of a curve in each window of steps that is thinned: first, last, least, greatest."""


def scalar_bytes(tags: Iterable[str]) -> int:
    """Bytes that TensorFlow's writer takes for a number of each of these tags."""
    return sum(64 + len(tag.encode()) for tag in tags)


@dataclass(frozen=True)
class ScalarPlan:
    """Of every `thinning` values of a scalar about one is written; `size`: bytes that those to come take."""

    thinning: int
    size: int


def plan_scalars(room: int, writes: int, size: int, *, is_exact: bool, with_images: bool) -> ScalarPlan:
    """The plan for so many `writes` of `size` bytes that are to come, in `room` bytes; `is_exact`: as they are."""
    wanted = writes * size
    limit = int(room * SCALAR_SHARE) if with_images else room
    if is_exact or wanted <= limit:
        return ScalarPlan(1, wanted)
    # A window has four points at least, however long it is.
    thinning = math.ceil(wanted / limit) if limit > 0 else max(writes, 1)
    return ScalarPlan(thinning, min(wanted, math.ceil(writes / thinning) * size))


class Pace:
    """Spends `room` bytes evenly from step `begin` to step `end`: what was not spent may be spent later.

    `room` None: without a limit. The first may come before its time.
    """

    def __init__(self, room: int | None, begin: int, end: int):
        self.room, self._begin, self._end = room, begin, max(end, begin + 1)
        self.spent = 0
        self._writes = 0

    @property
    def expected(self) -> int:
        """Bytes of the next one, by those before."""
        return self.spent // self._writes if self._writes else 0

    def is_due(self, step: int) -> bool:
        """Whether one of the expected size has its turn at `step`."""
        if self.room is None or not self._writes:
            return self.room is None or self.room > 0
        return self.spent + self.expected <= self.room * (step - self._begin) / (self._end - self._begin)

    def take(self, size: int) -> bool:
        """Whether there is room for `size` bytes, which are spent then."""
        if self.room is not None and self.spent + size > self.room:
            return False
        self.spent += size
        self._writes += 1
        return True
