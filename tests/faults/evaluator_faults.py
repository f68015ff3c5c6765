"""What is done to an evaluator that works through the checkpoints of a run whose training has ended."""

import signal
import time
from random import Random

import oracle
from lane import Lane
from processes import Process
from results import Injection
from small_run import BACKLOG, Place
from trainer_faults import EXIT_SECONDS, SIGNALS

STEPS = 60
STARTING = 0.3
EVALUATING_SECONDS = 2.0
START_SECONDS = 120.0


class EvaluatorChain:
    """A trained run, the checkpoints of which are evaluated by one evaluator after the other."""

    def __init__(self, place: Place):
        self.place, self.run = place, place.run
        self.problems: list[str] = []
        self.waiting: list[tuple[Injection, float]] = []
        self.first_seconds = 6.0
        place.prepare(STEPS, BACKLOG)
        # A run that an evaluator has worked on keeps its checkpoints for it.
        first = self.start(forked=True)
        first.watch(lambda: self.run.status("evaluator").exists(), START_SECONDS)
        first.end()
        trainer = place.start("train")
        if trainer.wait(300) != 0:
            raise RuntimeError(trainer.text())
        self.reported = set(oracle.saved_steps(trainer.text()))

    def start(self, forked: bool) -> Process:
        """The next evaluator."""
        return self.place.start("evaluate", forked=forked)

    def await_first(self, life: Process) -> bool:
        """Waits until it has evaluated a checkpoint; whether it did."""
        if made := life.watch(lambda: "evaluate | step" in life.text(), START_SECONDS):
            self.first_seconds = time.time() - life.started
        return made

    def bury(self, life: Process, *, ended: bool = False) -> list[Injection]:
        """Looks at what an evaluator did that has ended; the faults of which the cost is known now."""
        self.problems += oracle.check_output(life.text())
        self.problems += oracle.check(self.place, self.reported, evaluated=ended)
        if ended:
            self.problems += [f"left over: {name}" for name in oracle.hidden(self.run, life.started)]
        times = [row["time"] for row in oracle.read_lines(self.run.evaluations)]
        settled = []
        for injection, moment in list(self.waiting):
            later = [made for made in times if made > moment]
            if later or ended:
                injection.lost_seconds = round(later[0] - moment, 2) if later else None
                settled.append(injection)
                self.waiting.remove((injection, moment))
        return settled

    def settle(self, lane: Lane) -> None:
        """What the last fault cost, by an evaluator that is stopped when it has evaluated a checkpoint."""
        life = self.start(forked=True)
        if not self.await_first(life):
            return self.finish(lane, life)
        life.send(signal.SIGTERM)
        ended = life.wait(EXIT_SECONDS) == 0
        lane.write_all(self.bury(life, ended=ended), self.problems)

    def finish(self, lane: Lane, life: Process) -> None:
        """An evaluator that nothing is done to ends well, and with it the run."""
        code = life.wait(300)
        if code != 0:
            self.problems.append(f"an evaluator that nothing was done to ended with {code}: {life.text()[-300:]}")
        lane.write_all(self.bury(life, ended=code == 0), self.problems)


def strike_evaluators(lane: Lane, name: str) -> None:
    """Kills evaluators, or sends them the signal `name`."""
    chain = None
    for number in lane.numbers:
        random, forked, phase = lane.random(number), lane.is_forked(number), None
        while phase is None:
            chain = chain or EvaluatorChain(lane.place)
            life = chain.start(forked)
            phase, moment = _strike(chain, life, random, name), time.time()
            if phase is None:
                chain = chain.finish(lane, life)
        injection = lane.injection(number, forked=forked)
        injection.phase = phase
        for settled in chain.bury(life):
            lane.write(settled)
        if chain.problems:
            lane.write(injection, chain.problems)
            chain = None
        else:
            chain.waiting.append((injection, moment))
    if chain and chain.waiting:
        chain.settle(lane)


def _strike(chain: EvaluatorChain, life: Process, random: Random, name: str) -> str | None:
    starting = random.random() < STARTING
    if starting:
        moment = life.started + random.uniform(0, chain.first_seconds)
    elif chain.await_first(life):
        moment = time.time() + random.uniform(0, EVALUATING_SECONDS)
    else:
        return None
    life.watch(lambda: time.time() >= moment, START_SECONDS)
    if life.code is not None:
        return None
    life.send(SIGNALS.get(name, signal.SIGKILL))
    code, text = life.wait(EXIT_SECONDS), life.text()
    if code == 0:
        return None
    if name in SIGNALS:
        last = (text.splitlines() or [""])[-1]
        is_early = code == -SIGNALS[name] and not text
        if not is_early and (code != 128 + SIGNALS[name] or not last.startswith("detbox: stopped: ")):
            chain.problems.append(f"{name}: code {code}, last line {last!r}")
    return "start" if "evaluate | step" not in text else "evaluate"
