"""The trainer's account of its wall time: every second goes to one kind of `run.goodput`."""

import time
from collections.abc import Callable

from app.run.directory import Run
from app.run.goodput import Goodput, read_goodput, write_goodput


class TimeAccount:
    """Adds what passes to the kind of the moment, over one process and its loops; goes on from what the run has.

    `started`: when the process was, Unix seconds; `clock`: seconds that do not jump; `wall`: Unix seconds.
    """

    def __init__(
        self,
        run: Run,
        started: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ):
        self._run, self._started, self._clock, self._wall = run, started, clock, wall
        self._kind, self._since = "starting", clock()
        self._is_open = False
        self.goodput = Goodput()

    def begin(self, step: int) -> None:
        """A loop begins at `step`: what was trained beyond it is lost."""
        if not self._is_open:
            self._open()
        self.switch("starting")
        good = self.goodput
        known = {saved: seconds for saved, seconds in good.training_at.items() if _is_until(saved, step)}
        at = min(max([0.0, *known.values()]), good.training)
        good.lost += good.training - at
        good.training, good.training_at = at, known
        self.write()

    def switch(self, kind: str) -> None:
        """From now on time is of another kind."""
        now = self._clock()
        setattr(self.goodput, self._kind, getattr(self.goodput, self._kind) + now - self._since)
        self._kind, self._since = kind, now

    def saved(self, step: int, kept: list[int]) -> None:
        """The checkpoint of `step` was saved, and training goes on. `kept`: the steps of all that are kept."""
        self.switch("training")
        good = self.goodput
        good.saves += 1
        good.training_at[str(step)] = good.training
        good.training_at = {str(one): good.training_at[str(one)] for one in kept if str(one) in good.training_at}

    def seconds(self) -> dict[str, float]:
        """By kind, until now."""
        self.switch(self._kind)
        return {kind: round(value, 3) for kind, value in self.goodput.seconds().items()}

    def write(self, *, in_progress: bool = True) -> None:
        """Writes it into the run; not `in_progress`: the trainer ends here in good order."""
        if not self._is_open:
            return
        self.switch(self._kind)
        self.goodput.time, self.goodput.in_progress = self._wall(), in_progress
        write_goodput(self._run, self.goodput)

    def _open(self) -> None:
        """Goes on from what the run has, whose last process may have crashed."""
        self._is_open = True
        good = self.goodput = read_goodput(self._run)
        if good.in_progress:
            good.failures += 1
            good.down += max(self._started - good.time, 0.0)
        good.starting += max(self._wall() - self._started - (self._clock() - self._since), 0.0)


def _is_until(saved: str, step: int) -> bool:
    return saved.isascii() and saved.isdecimal() and len(saved) <= len(str(step)) and int(saved) <= step
