"""What is done to a trainer: each waits for its moment, strikes, and waits for the end."""

import os
import re
import signal
import time
from random import Random

import oracle
from processes import Process
from trainer_chain import START_SECONDS, TrainerChain

STARTING = 0.3
"""Part of the kills before the first step: building and tracing is most of a short life."""
TRAINING_SECONDS = 2.5
"""After the first step within which a trainer is struck: some ten saves."""
EXIT_SECONDS = 40.0
SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGHUP": signal.SIGHUP}


def kill(chain: TrainerChain, life: Process, random: Random) -> str | None:
    """SIGKILL at a random moment."""
    if random.random() < STARTING:
        moment = life.started + random.uniform(0, chain.first_step_seconds)
    else:
        if not chain.await_step(life):
            return None
        moment = time.time() + random.uniform(0, TRAINING_SECONDS)
    life.watch(lambda: time.time() >= moment, START_SECONDS)
    return _kill_now(chain, life)


def kill_in_save(chain: TrainerChain, life: Process, random: Random) -> str | None:
    """SIGKILL while a checkpoint is written."""
    while True:
        saves = random.randint(1, 3)
        if not await_save(chain, life, saves):
            return None
        time.sleep(random.uniform(0, 0.03))
        phase = _kill_now(chain, life)
        if phase is None or phase == "save":
            return phase
        # It was too late: one more trainer, and what this one did is looked at as well.
        chain.bury(life)
        life = chain.start(forked=True)


def await_save(chain: TrainerChain, life: Process, number: int = 1) -> bool:
    """Waits for the `number`-th save after the first step; whether it came."""
    seen: set[str] = set()

    def is_saving() -> bool:
        seen.update(name for name in os.listdir(chain.run.root) if name.startswith(".saving-"))
        mine = {name for name in seen if name.endswith(f"-{life.pid}")}
        return len(mine) >= number

    return life.watch(is_saving, START_SECONDS, poll=0.001)


def _kill_now(chain: TrainerChain, life: Process) -> str | None:
    if life.code is not None:
        return None
    life.send(signal.SIGKILL)
    if life.wait(20) != -signal.SIGKILL:
        return None
    saving = any(chain.run.root.glob(f".saving-*-{life.pid}")) or any(chain.run.root.glob(f".checkpoint-{life.pid}"))
    if saving:
        return "save"
    return "step" if oracle.made_steps(life.text()) else "start"


def signal_in_import(name: str, chain: TrainerChain, life: Process, random: Random) -> str | None:
    """A signal while modules are imported."""
    moment = life.started + random.uniform(0.05, 5)
    life.watch(lambda: time.time() >= moment or "devices |" in life.text(), 30)
    return _signal_now(name, chain, life)


def signal_in_trace(name: str, chain: TrainerChain, life: Process, random: Random) -> str | None:
    """A signal while the model is built and its step traced."""
    life.watch(lambda: "devices |" in life.text(), START_SECONDS)
    moment = time.time() + random.uniform(0, 3)
    life.watch(lambda: time.time() >= moment, 10)
    return _signal_now(name, chain, life)


def signal_in_step(name: str, chain: TrainerChain, life: Process, random: Random) -> str | None:
    """A signal between the steps or in one."""
    if not chain.await_step(life):
        return None
    moment = time.time() + random.uniform(0, TRAINING_SECONDS)
    life.watch(lambda: time.time() >= moment, 10)
    return _signal_now(name, chain, life)


def signal_in_save(name: str, chain: TrainerChain, life: Process, random: Random) -> str | None:
    """A signal while a checkpoint is written."""
    if not await_save(chain, life, random.randint(1, 3)):
        return None
    return _signal_now(name, chain, life)


def signal_twice(name: str, chain: TrainerChain, life: Process, random: Random) -> str | None:
    """A signal, and a moment later the same again."""
    if not chain.await_step(life):
        return None
    moment = time.time() + random.uniform(0, TRAINING_SECONDS)
    life.watch(lambda: time.time() >= moment, 10)
    return _signal_now(name, chain, life, again=random.uniform(0, 0.3))


def _signal_now(name: str, chain: TrainerChain, life: Process, again: float | None = None) -> str | None:
    number = SIGNALS[name]
    if life.code is not None:
        return None
    life.send(number)
    if again is not None:
        time.sleep(again)
        life.send(number)
    code, text = life.wait(EXIT_SECONDS), life.text()
    if code == 0 and "completed" in text:
        return None
    last = (text.splitlines() or [""])[-1]
    if code == -number and not text:
        return "before Python"
    if code != 128 + number or not last.startswith("detbox: stopped: "):
        chain.problems.append(f"{name}: code {code}, last line {last!r}")
    if not oracle.made_steps(text):
        return "start"
    made, kept = chain.position(), (chain.run.checkpoint_steps() or [0])[-1]
    said = re.search(r"step (\d+) is saved", last)
    if not made == kept == int(said[1] if said else -1):
        chain.problems.append(f"{name}: step {made} was made, {kept} is saved, {last!r} said")
    return "step"


def second_trainer(chain: TrainerChain, life: Process, random: Random) -> str | None:
    """Another trainer is started on the run, then the first is stopped."""
    moment = life.started + random.uniform(0.5, chain.first_step_seconds + TRAINING_SECONDS)
    life.watch(lambda: time.time() >= moment, START_SECONDS)
    if life.code is not None:
        return None
    second = chain.start(forked=True)
    code = second.wait(START_SECONDS)
    if code != 3 or "another trainer works on this run" not in second.text():
        if life.code is not None:
            return None
        chain.problems.append(f"a second trainer ended with {code}: {second.text()[-300:]}")
    return signal_in_step("SIGTERM", chain, life, random)


def jump_clock(chain: TrainerChain, life: Process, random: Random) -> str | None:
    """The clock that Python reads is set ahead or back, by a minute to ten years, in the middle of a life."""
    if not chain.await_step(life):
        return None
    offset = random.choice([-1, 1]) * 10 ** random.uniform(1.8, 8.5)
    chain.clock.write_text(str(offset))
    at = chain.position()
    if not life.watch(lambda: chain.position() > at + 10, START_SECONDS):
        return None if life.code == 0 else _signal_now("SIGTERM", chain, life)
    return _signal_now("SIGTERM", chain, life)
