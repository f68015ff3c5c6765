"""What is done to `up` and the three services that it has started."""

import signal
import time
from random import Random

import oracle
import psutil
from lane import Lane
from small_run import BACKLOG, FLAGS, Place
from trainer_chain import TrainerChain

STEPS = 150
STARTING = 0.3
"""Part of the strikes before the first step."""
TRAINING_SECONDS = 12.0
"""After the first step within which it is struck: training and evaluating."""
START_SECONDS = 300.0
END_SECONDS = 600.0


class UpLife:
    """An `up` with its services, as the one life that a trainer has otherwise: see `processes.Process`."""

    def __init__(self, place: Place):
        self.place, self.log = place, place.run.log("trainer")
        self._from = self._size()
        self._until: int | None = None
        self.process = place.start(
            "up", *FLAGS, BACKLOG, f"--num_train_steps={STEPS}", "--tensorboard_port=0", forked=False
        )
        self.started, self.pid = self.process.started, 0
        self.family: list[psutil.Process] = []

    def _size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def look(self) -> None:
        """Notes who belongs to it now."""
        self.family = self.process.family()
        for process in self.family:
            try:
                if process.cmdline()[-1] == "train":
                    self.pid = process.pid
            except (psutil.Error, IndexError):
                continue

    def close(self) -> None:
        """What is written from now on is another's."""
        self._until = self._size()

    def text(self) -> str:
        """What its trainer has written."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._from : self._until].decode(errors="replace")

    def output(self) -> str:
        """What `up` itself has written, and the evaluator."""
        evaluator = self.place.run.log("evaluator")
        return self.process.text() + (evaluator.read_text(errors="replace") if evaluator.exists() else "")


def strike_trios(lane: Lane, way: str) -> None:
    """Strikes an `up` for each number; the next goes on with its run."""
    chain: TrainerChain | None = None
    life: UpLife | None = None
    for number in lane.numbers:
        random, phase = lane.random(number), None
        while phase is None:
            chain = chain or TrainerChain(lane.place, STEPS, BACKLOG)
            life = life or UpLife(lane.place)
            phase, following = WAYS[way](chain, life, random)
            if phase is None:
                chain, life = _finish(lane, chain, life), None
        injection, moment = lane.injection(number, forked=False), time.time()
        injection.phase = phase
        chain.problems += oracle.check_output(life.output())
        chain = lane.bury(chain, life, injection, moment)
        if chain is None and following:
            following.process.end()
            following = None
        life = following
    if chain and chain.waiting:
        _settle(lane, chain, life or UpLife(lane.place))
    elif life:
        life.process.end()


def _await_moment(chain: TrainerChain, life: UpLife, random: Random) -> bool:
    """Waits for a random moment of an `up`; whether it still runs then."""
    if random.random() < STARTING:
        moment = life.started + random.uniform(0, chain.first_step_seconds)
    else:
        if life.process.watch(lambda: oracle.made_steps(life.text()), START_SECONDS):
            chain.first_step_seconds = time.time() - life.started
        moment = time.time() + random.uniform(0, TRAINING_SECONDS)
    life.process.watch(lambda: time.time() >= moment, START_SECONDS)
    life.look()
    return life.process.code is None


def _phase(life: UpLife) -> str:
    return "step" if oracle.made_steps(life.text()) else "start"


def kill_all(chain: TrainerChain, life: UpLife, random: Random) -> tuple[str | None, UpLife | None]:
    """As if the machine went away: `up` and all of its services are killed at one moment."""
    if not _await_moment(chain, life, random):
        return None, None
    life.process.end()
    return _phase(life), None


def kill_supervisor(chain: TrainerChain, life: UpLife, random: Random) -> tuple[str | None, UpLife | None]:
    """Kills `up` alone and starts it again, while its services still end."""
    if not _await_moment(chain, life, random):
        return None, None
    services = life.family[1:]
    life.process.send(signal.SIGKILL)
    life.process.wait(20)
    time.sleep(random.uniform(0, 1))
    following = UpLife(chain.place)
    _, left = psutil.wait_procs(services, timeout=60)
    life.close()
    following._from = life._until or 0
    chain.problems += [f"was not ended with its `up`: {process}" for process in left]
    _check_exact(chain, life.text())
    return _phase(life), following


def stop_up(chain: TrainerChain, life: UpLife, random: Random) -> tuple[str | None, UpLife | None]:
    """Sends `up` one of the signals that ask it to end; none of its services is left."""
    number = random.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    if not _await_moment(chain, life, random):
        return None, None
    life.process.send(number)
    code, last = life.process.wait(60), (life.process.text().splitlines() or [""])[-1]
    if code == 0:
        return None, None
    is_early = code == -number and not life.process.text()
    if not is_early and (code != 128 + number or not last.startswith("detbox: stopped: ")):
        chain.problems.append(f"{signal.Signals(number).name} to up: code {code}, last line {last!r}")
    _, left = psutil.wait_procs(life.family[1:], timeout=5)
    chain.problems += [f"was not ended with its `up`: {process}" for process in left]
    _check_exact(chain, life.text())
    return _phase(life), None


def _check_exact(chain: TrainerChain, text: str) -> None:
    """A trainer that was told to end has saved its last step, if it made any."""
    if made := oracle.made_steps(text):
        kept = (chain.run.checkpoint_steps() or [0])[-1]
        if made[-1] != kept:
            chain.problems.append(f"step {made[-1]} was made and {kept} is saved")


def _settle(lane: Lane, chain: TrainerChain, life: UpLife) -> None:
    """What the last strike cost, by an `up` that is stopped when its trainer has made up for it."""
    position = chain.position()
    if not life.process.watch(lambda: max(oracle.made_steps(life.text()), default=0) > position, START_SECONDS):
        return _finish(lane, chain, life)
    life.look()
    life.process.send(signal.SIGTERM)
    life.process.wait(60)
    lane.flush(chain, chain.bury(life))


def _finish(lane: Lane, chain: TrainerChain, life: UpLife) -> None:
    code = life.process.wait(END_SECONDS)
    if code != 0:
        chain.problems.append(f"an `up` that nothing was done to ended with {code}: {life.process.text()[-500:]}")
    chain.problems += oracle.check_output(life.output())
    settled = chain.bury(life)
    if code == 0:
        chain.check_end(life)
        chain.problems += oracle.check(lane.place, chain.reported, evaluated=True)
    lane.flush(chain, settled)


WAYS = {"kill-all": kill_all, "kill-supervisor": kill_supervisor, "stop-up": stop_up}
