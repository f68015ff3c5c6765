"""A run that one trainer after the other works on, each of which meets a fault."""

import time
from collections.abc import Callable
from random import Random
from typing import Any

import oracle
from processes import Process
from results import Injection
from small_run import Place

from app.run.metrics import read_metrics

START_SECONDS = 90.0
"""That a trainer has for its first step on a busy machine."""
Strike = Callable[["TrainerChain", Process, Random], str | None]
"""Waits for its moment, does harm to a trainer and waits for its end: gives the phase that it met, or None for a
trainer that had ended before. Adds what it finds wrong to `problems`."""


class TrainerChain:
    """`waiting`: faults of which is not known yet what they cost; the next trainer that comes so far shows it."""

    def __init__(self, place: Place, steps: int, *flags: str):
        self.place, self.run, self.steps = place, place.run, steps
        self.reported: set[int] = set()
        self.waiting: list[tuple[Injection, int, float]] = []
        self.problems: list[str] = []
        self.gaps = False
        self.first_step_seconds = 6.0
        self.clock = place.root / "clock"
        """Seconds by which forked trainers see the time wrong."""
        self.clock.write_text("0")
        self._orphans: set[str] = set()
        place.prepare(steps, *flags)

    def start(self, forked: bool, **extra: str) -> Process:
        """The next trainer."""
        if forked:
            extra["FAULTS_CLOCK"] = str(self.clock)
        return self.place.start("train", forked=forked, **extra)

    def await_step(self, life: Process) -> bool:
        """Waits until it has made a step; whether it did."""
        if made := life.watch(lambda: oracle.made_steps(life.text()), START_SECONDS):
            self.first_step_seconds = time.time() - life.started
        return made

    def position(self) -> int:
        """The last step of which there is a line."""
        return max((row["step"] for row in read_metrics(self.run)), default=0)

    def bury(self, life: Any) -> list[Injection]:
        """Looks at all that a trainer which has ended did; the faults of which the cost is known now."""
        text, begun = life.text(), oracle.begun_step(life.text())
        newest = max(self.reported, default=0)
        if begun is not None:
            if begun < newest:
                self.problems.append(f"begins at step {begun}, though {newest} was reported as saved")
            self.problems += [f"left by an earlier trainer: {name}" for name in self._left(life)]
        self._orphans = set(oracle.orphans(self.run))
        self.reported |= set(oracle.saved_steps(text))
        self.problems += oracle.check_output(text)
        self.problems += oracle.check(self.place, self.reported, gaps=self.gaps)
        return self._settled(begun)

    def _left(self, life: Any) -> list[str]:
        same = self._orphans & set(oracle.orphans(self.run))
        return [*oracle.leftovers(self.run, of_pid=life.pid), *same]

    def _settled(self, begun: int | None) -> list[Injection]:
        if begun is None:
            return []
        rows = read_metrics(self.run)
        for injection, position, moment in self.waiting:
            again = next((row["time"] for row in rows if row["step"] > position and row["time"] > moment), None)
            injection.lost_steps = max(0, position - begun)
            is_timed = again is not None and float(self.clock.read_text()) == 0
            injection.lost_seconds = round(again - moment, 2) if is_timed else None
        settled = [injection for injection, _, _ in self.waiting]
        self.waiting = []
        return settled

    def settle(self) -> list[Injection]:
        """What the last faults cost, by a trainer that nothing is done to until it has made up for them."""
        if not self.waiting:
            return []
        life = self.start(forked=True)
        position = max(position for _, position, _ in self.waiting)
        life.watch(lambda: max(oracle.made_steps(life.text()), default=0) > position, START_SECONDS)
        life.send(15)
        code = life.wait(40)
        if code not in (143, 0):
            self.problems.append(f"the trainer after the last fault ended with {code}: {life.text()[-300:]}")
        return self.bury(life)

    def check_end(self, life: Any) -> None:
        """What holds of a run whose training has ended: nothing is left of what was killed."""
        if self.position() != self.steps:
            self.problems.append(f"ended with a line of step {self.position()} of {self.steps}")
        self.problems += [f"left over: {name}" for name in oracle.hidden(self.run, life.started)]
