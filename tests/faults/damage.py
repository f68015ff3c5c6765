"""What is done to the files of a run that is stopped, and what the next trainer makes of it."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import oracle
from lane import Lane
from processes import Process
from trainer_chain import START_SECONDS, TrainerChain

from app.run.directory import Run

SAVES = 3
"""That a trainer makes before its run is stopped."""
STEPS = 100_000


@dataclass(frozen=True)
class Damage:
    """`what`: for the table; `do`: harms the run.

    `code`: of the trainer that refuses, None for one that goes on; `says`: of its output, a regular expression;
    `loses`: how many of the newest checkpoints are harmed; `gaps`: lines of metrics are lost; `leaves`: files that are
    another's to write, and stay as they are.
    """

    what: str
    do: Callable[[Run, Random], None]
    code: int | None = None
    says: str = ""
    loses: int = 0
    gaps: bool = False
    leaves: tuple[str, ...] = ()


def damage_run(lane: Lane, damage: Damage) -> None:
    """For each number: the run is stopped, harmed, and a trainer started on it. A refused run is put right again."""
    chain, life = None, None
    for number in lane.numbers:
        chain = chain or TrainerChain(lane.place, STEPS)
        _stop(chain, life or chain.start(forked=True))
        random, injection = lane.random(number), lane.injection(number, forked=lane.is_forked(number))
        kept = lane.place.root / "before"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(chain.run.root, kept)
        steps, position, chain.gaps = chain.run.checkpoint_steps(), chain.position(), damage.gaps
        damage.do(chain.run, random)
        moment, life = time.time(), chain.start(injection.forked)
        injection.phase = "stopped"
        if damage.code is None:
            chain.reported -= set(steps[-damage.loses :] if damage.loses else ())
            began = life.watch(lambda life=life: oracle.made_steps(life.text()), START_SECONDS)
            begun = oracle.begun_step(life.text())
            if not began or begun != steps[-1 - damage.loses]:
                chain.problems.append(f"begins at {begun}, not {steps[-1 - damage.loses]}: {life.text()[-500:]}")
            injection.lost_steps = max(0, position - (begun or 0))
            injection.lost_seconds = round(time.time() - moment, 2)
        else:
            _check_refusal(chain, life, damage.code)
            unchanged = chain.run.checkpoint_steps() in (steps, [])
            chain.problems += [] if unchanged else [f"checkpoints were changed: {chain.run.checkpoint_steps()}"]
            shutil.rmtree(chain.run.root)
            kept.rename(chain.run.root)
        if damage.says and not re.search(damage.says, life.text()):
            chain.problems.append(f"does not say {damage.says!r}: {life.text()[-500:]}")
        chain.problems += oracle.check_output(life.text())
        for name in damage.leaves:
            (chain.run.root / name).unlink()
        failed = bool(chain.problems)
        lane.write(injection, chain.problems)
        life = None if damage.code else life
        if failed:
            if life:
                life.end()
            chain, life = None, None
    if life:
        life.end()


def _stop(chain: TrainerChain, life: Process) -> None:
    """Ends a trainer after a few saves, and looks at it."""
    life.watch(lambda: len(oracle.saved_steps(life.text())) >= SAVES, START_SECONDS)
    life.send(15)
    if life.wait(60) != 143:
        chain.problems.append(f"a stopped trainer ended with {life.code}: {life.text()[-300:]}")
    chain.bury(life)


def _check_refusal(chain: TrainerChain, life: Process, code: int) -> None:
    life.watch(lambda: False, START_SECONDS)
    if life.code is None:
        life.end()
    last = (life.text().splitlines() or [""])[-1]
    if life.code != code or not last.startswith("detbox: error: "):
        chain.problems.append(f"ended with {life.code}, not {code}: {last!r}")


def _cut(path: Path, random: Random) -> None:
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.truncate(random.randrange(size))


def _flip(path: Path, random: Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 3)):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def _garble(path: Path, random: Random) -> None:
    kinds = [b"", b"null", b"[]", b"{}", b'{"step": "x"}', b"7", random.randbytes(random.randint(1, 300))]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(random.choice(kinds))


def _data(run: Run) -> Path:
    return next(run.root.glob(f"{run.checkpoint(run.checkpoint_steps()[-1]).name}.data-*"))


def _index(run: Run) -> Path:
    return Path(f"{run.checkpoint(run.checkpoint_steps()[-1])}.index")


def _cut_line(path: Path, random: Random) -> None:
    lines = path.read_bytes().split(b"\n")
    at = random.randrange(len(lines) - 1)
    lines[at] = lines[at][: random.randrange(len(lines[at]))]
    path.write_bytes(b"\n".join(lines))


def _cut_tail(path: Path, random: Random) -> None:
    """As by a writer that was killed in its one write."""
    data = path.read_bytes()
    last = data.rstrip(b"\n").rpartition(b"\n")[2]
    path.write_bytes(data[: len(data) - random.randint(1, len(last))])


def _break_all(run: Run, random: Random) -> None:
    for step in run.checkpoint_steps():
        _cut(next(run.root.glob(f"{run.checkpoint(step).name}.data-*")), random)


def _edit(path: Path, before: str, after: str) -> None:
    text, count = re.subn(before, after, path.read_text("utf-8"), count=1)
    assert count
    path.write_text(text, "utf-8")


def _status(run: Run, random: Random) -> None:
    for name in ("trainer", "evaluator", "stop", "up"):
        _garble(run.status(name), random)
    run.stop_request.unlink()  # What can be read asks for a stop.
    run.stop_request.write_bytes(random.randbytes(20))


def _shard(run: Run, random: Random) -> Path:
    return random.choice(sorted(run.records.glob("train-*")))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _remove_checkpoints(run: Run, random: Random) -> None:
    for path in run.root.glob("ckpt-*"):
        path.unlink()


PASSED_OVER = "is broken and passed over"
DAMAGES: dict[str, Damage] = {
    "data-cut": Damage(
        "the newest checkpoint's data cut", lambda run, random: _cut(_data(run), random), says=PASSED_OVER, loses=1
    ),
    "data-flip": Damage(
        "one to three bits of it flipped", lambda run, random: _flip(_data(run), random), says=PASSED_OVER, loses=1
    ),
    "data-gone": Damage("it is gone", lambda run, random: _data(run).unlink(), says=PASSED_OVER, loses=1),
    "index-cut": Damage(
        "the newest checkpoint's index cut", lambda run, random: _cut(_index(run), random), says=PASSED_OVER, loses=1
    ),
    "index-flip": Damage(
        "one to three bits of it flipped", lambda run, random: _flip(_index(run), random), says=PASSED_OVER, loses=1
    ),
    "index-gone": Damage("it is gone", lambda run, random: _index(run).unlink(), says="resumed from", loses=1),
    "all-checkpoints-cut": Damage("all checkpoints cut", _break_all, code=3, says="checkpoints are broken"),
    "all-checkpoints-gone": Damage("all checkpoints removed", _remove_checkpoints, code=3, says="has no checkpoint"),
    "state-empty": Damage("the file `checkpoint` empty", lambda run, random: _empty(run.root / "checkpoint")),
    "state-garbage": Damage(
        "the file `checkpoint` garbage", lambda run, random: (run.root / "checkpoint").write_bytes(random.randbytes(99))
    ),
    "metrics-line-cut": Damage(
        "a line of `metrics.jsonl` cut", lambda run, random: _cut_line(run.metrics, random), gaps=True
    ),
    "metrics-tail-cut": Damage(
        "the last line of `metrics.jsonl` cut", lambda run, random: _cut_tail(run.metrics, random), gaps=True
    ),
    "evaluations-garbage": Damage(
        "`evaluations.jsonl` garbage",
        lambda run, random: run.evaluations.write_bytes(random.randbytes(300)),
        leaves=("evaluations.jsonl",),
    ),
    "status-garbage": Damage("all of `status/` garbage", _status, leaves=("status/evaluator.json", "status/up.json")),
    "done-garbage": Damage("a `DONE` of garbage", lambda run, random: _garble(run.done, random)),
    "best-garbage": Damage(
        "a `best.json` of garbage", lambda run, random: _garble(run.best_card, random), leaves=("best/best.json",)
    ),
    "run-json-cut": Damage("`run.json` cut", lambda run, random: _cut(run.provenance, random), code=3),
    "card-cut": Damage("`records/dataset.json` cut", lambda run, random: _cut(run.dataset_card, random), code=3),
    "config-changed": Damage(
        "another learning rate in `pipeline.config`",
        lambda run, random: _edit(run.pipeline_config, r"optimizer_value: \S+", "optimizer_value: 0.8"),
        says="was changed by hand",
    ),
    "model-changed": Damage(
        "another model in `pipeline.config`",
        lambda run, random: _edit(run.pipeline_config, r"additional_layer_depth: \d+", "additional_layer_depth: 96"),
        code=3,
        says="does not fit",
    ),
    "config-cut": Damage("`pipeline.config` cut", lambda run, random: _cut(run.pipeline_config, random), code=3),
    "label-map-cut": Damage("`label_map.pbtxt` cut", lambda run, random: _cut(run.label_map, random), code=3),
    "label-map-changed": Damage(
        "a class less in `label_map.pbtxt`",
        lambda run, random: _edit(run.label_map, r"(?s)item \{[^}]*\}\s*$", ""),
        code=3,
    ),
    "records-cut": Damage("a shard of records cut", lambda run, random: _cut(_shard(run, random), random), code=4),
    "records-flip": Damage(
        "one to three bits of a shard flipped", lambda run, random: _flip(_shard(run, random), random), code=4
    ),
    "records-gone": Damage("a shard of records gone", lambda run, random: _shard(run, random).unlink(), code=4),
}
