"""One lane of work: injects faults of a kind one after the other, and writes down what came of each."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import results
from processes import Process
from results import Injection
from small_run import Place
from trainer_chain import Strike, TrainerChain

STEPS = 240
"""Of a run that trainers are killed in; then the next is begun."""
AS_USER_EVERY = 10
"""Each so many start by `python -m entrypoint`, the others by a fork of a process that has imported TensorFlow."""


class Lane:
    """`folder` is its own; `results` is that of all lanes."""

    def __init__(self, folder: Path, file: Path, fault: str, seed: int, numbers: Sequence[int]):
        self.place, self.file, self.fault, self.seed, self.numbers = Place(folder), file, fault, seed, numbers

    def injection(self, number: int, *, forked: bool = True) -> Injection:
        """A new one, of which nothing is known yet."""
        return Injection(fault=self.fault, seed=self.seed, number=number, forked=forked)

    def random(self, number: int) -> Random:
        """The same for the same number, in whichever portion it is done."""
        return Random(f"{self.fault}/{self.seed}/{number}")

    def is_forked(self, number: int) -> bool:
        """Whether the process that it meets is to be a fork."""
        return number % AS_USER_EVERY != AS_USER_EVERY - 1

    def write(self, injection: Injection, problems: Sequence[str] = ()) -> None:
        """Writes down what came of it; keeps a copy of the run for a problem."""
        if problems:
            injection.problem = "; ".join(problems)[:2000]
            kept = self.file.with_name(f"{self.file.name}.kept") / f"{self.fault}-{self.seed}-{injection.number}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.place.root, kept, symlinks=True, ignore_dangling_symlinks=True)
            injection.kept = str(kept)
        results.append(self.file, injection)
        lost = "" if injection.lost_steps is None else f", {injection.lost_steps} steps"
        lost += "" if injection.lost_seconds is None else f", {injection.lost_seconds:.1f} s"
        outcome = f"FAILURE: {injection.problem}" if injection.problem else f"survived{lost}"
        print(
            f"{self.fault} {self.seed}/{injection.number} | {injection.phase} | {outcome}", file=sys.stderr, flush=True
        )

    def strike_trainers(self, strike: Strike, *, as_user: bool | None = None, steps: int = STEPS) -> None:
        """A trainer for each number, on runs that go on until they are done."""
        chain: TrainerChain | None = None
        for number in self.numbers:
            random = self.random(number)
            forked = self.is_forked(number) if as_user is None else not as_user
            while True:
                chain = chain or TrainerChain(self.place, steps)
                life = chain.start(forked)
                injection = self.injection(number, forked=forked)
                phase = strike(chain, life, random)
                if phase is not None:
                    break
                chain = self.finish(chain, life)
            injection.phase, moment = phase, time.time()
            chain = self.bury(chain, life, injection, moment)
        if chain:
            self.flush(chain, chain.settle())

    def bury(self, chain: TrainerChain, life: Any, injection: Injection, moment: float) -> TrainerChain | None:
        """Looks at what a life did that was struck at `moment`; the chain, or None if something is wrong."""
        settled = chain.bury(life)
        if chain.problems:
            for other in settled:
                self.write(other)
            self.write(injection, chain.problems)
            return None
        for other in settled:
            self.write(other)
        chain.waiting.append((injection, chain.position(), moment))
        return chain

    def finish(self, chain: TrainerChain, life: Process) -> None:
        """A trainer that ended before it was struck: its run is done, or something is wrong."""
        code = life.wait(120)
        if code != 0:
            chain.problems.append(f"a trainer that nothing was done to ended with {code}: {life.text()[-300:]}")
        settled = chain.bury(life)
        if code == 0:
            chain.check_end(life)
        self.flush(chain, settled)

    def flush(self, chain: TrainerChain, settled: Sequence[Injection]) -> None:
        settled = [*settled, *(injection for injection, _, _ in chain.waiting)]
        chain.waiting = []
        self.write_all(settled, chain.problems)

    def write_all(self, settled: Sequence[Injection], problems: Sequence[str]) -> None:
        """Writes down several; what is wrong is told of the last, or of one that was not injected."""
        settled = settled or [self.injection(-1)] * bool(problems)
        for index, injection in enumerate(settled):
            self.write(injection, problems if index == len(settled) - 1 else ())
