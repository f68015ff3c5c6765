"""What is done to `prepare`: struck at a random moment, it is started again and must come to the same end."""

import hashlib
import os
import signal
import time

import oracle
from lane import Lane
from small_run import FLAGS, Place
from trainer_faults import EXIT_SECONDS, SIGNALS

ARGUMENTS = (*FLAGS, "--sample_images=60", "--num_train_steps=100")
PREPARE_SECONDS = 120.0
HOUR = 3600


def strike_preparations(lane: Lane, name: str) -> None:
    """SIGKILL or a signal for each number."""
    place, number_of = lane.place, SIGNALS.get(name, signal.SIGKILL)
    place.empty()
    first = place.start("prepare", *ARGUMENTS)
    if first.wait(PREPARE_SECONDS) != 0:
        raise RuntimeError(first.text())
    wanted, seconds = _contents(place), time.time() - first.started
    for number in lane.numbers:
        injection, random, problems = lane.injection(number, forked=lane.is_forked(number)), lane.random(number), []
        while not injection.phase:
            place.empty()
            life = place.start("prepare", *ARGUMENTS, forked=injection.forked)
            late = 0 if injection.forked else 1
            moment = life.started + random.uniform(0, seconds + late)
            life.watch(lambda moment=moment: time.time() >= moment, PREPARE_SECONDS)
            if life.code is None:
                life.send(number_of)
                injection.phase = "prepare" if life.wait(EXIT_SECONDS) != 0 else ""
        text, moment = life.text(), time.time()
        last = (text.splitlines() or [""])[-1]
        is_early = name not in SIGNALS or (life.code == -number_of and not text)
        if not is_early and (life.code != 128 + number_of or not last.startswith("detbox: stopped: ")):
            problems.append(f"{name}: code {life.code}, last line {last!r}")
        problems += oracle.check_output(text)
        _age(place)
        again = place.start("prepare", *ARGUMENTS)
        if again.wait(PREPARE_SECONDS) != 0:
            problems.append(f"prepare ended with {again.code} afterwards: {again.text()[-300:]}")
        elif (found := _contents(place)) != wanted:
            problems.append(f"other files than without it: {sorted(found.items() ^ wanted.items())[:5]}")
        problems += [f"left over: {left}" for left in oracle.hidden(place.run)]
        problems += [f"written outside of the run: {path}" for path in place.foreign()]
        injection.lost_seconds = round(time.time() - moment, 2)
        lane.write(injection, problems)


def _contents(place: Place) -> dict[str, str]:
    """The run's files by name, as hashes; without the card, which has times."""
    root = place.run.root
    files = [path for path in root.rglob("*") if path.is_file() and not {"logs", "status"} & set(path.parts)]
    kept = [path for path in files if path.suffix != ".json"]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def _age(place: Place) -> None:
    """Makes what was left an hour old: `prepare` leaves alone what another may be writing."""
    for path in [*place.models.rglob("*"), place.models]:
        os.utime(path, (time.time() - HOUR, time.time() - HOUR), follow_symlinks=False)
