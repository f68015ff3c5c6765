"""What must hold of a run whose processes have ended, however they ended."""

import contextlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

from processes import call
from small_run import MAX_TO_KEEP, Place

from app.checkpoint import find_prefixes
from app.protos import pipeline_config
from app.run.directory import SAMPLE_PREFIX, Run, checkpoint_step
from app.run.evaluations import read_best
from app.run.files import LEFT_FOR_SECONDS

SAVED = re.compile(r"^(?:\d\S+ )?train \| step (\d+) \| saved ", re.MULTILINE)
BEGUN = re.compile(r"^(?:\d\S+ )?train \| step (\d+) of \d+ \| (resumed from|fresh start)", re.MULTILINE)
MADE = re.compile(r"^(?:\d\S+ )?train \| step (\d+)/", re.MULTILINE)
HIDDEN = re.compile(r"\.(saving-|checkpoint-|.*\.\w{8}$|evaluating$|writable$)")
"""Names of what is being written: of the trainer's saves, `run.files`, the evaluator's links."""
YOUNG = re.compile(r"\.\w{8}$")
"""Those of `run.files`."""
OUR_FAULT = re.compile(r"internal error|Traceback \(most recent call last\)|bug of ours")


def saved_steps(text: str) -> list[int]:
    """The steps that a trainer's output reports as saved."""
    return [int(step) for step in SAVED.findall(text)]


def begun_step(text: str) -> int | None:
    """The step that a trainer began at; None if it did not come so far."""
    found = BEGUN.search(text)
    return int(found[1]) if found else None


def made_steps(text: str) -> list[int]:
    """The steps that a trainer's output has a line of."""
    return [int(step) for step in MADE.findall(text)]


def check_output(text: str) -> list[str]:
    """An internal error, or a traceback."""
    found = OUR_FAULT.search(text)
    return [f"its output has: {text[found.start() : found.start() + 300]!r}"] if found else []


def check(place: Place, reported: set[int], *, gaps: bool = False, evaluated: bool = False) -> list[str]:
    """What does not hold of the run, whose processes have ended.

    `reported`: the steps that were reported as saved. `gaps`: lines may be missing (they were damaged). `evaluated`:
    the evaluator has ended well.
    """
    run = place.run
    problems = [f"written outside of the run: {path}" for path in place.foreign()]
    problems += call(_check_checkpoints, run)
    problems += _check_reported(run, reported)
    problems += _check_state(run)
    problems += _check_final_names(run)
    problems += _check_metrics(run, gaps)
    problems += _check_evaluations(run, reported if evaluated else set())
    return problems


def leftovers(run: Run, *, of_pid: int | None = None) -> list[str]:
    """What saves that were cut short have left; without that of the process `of_pid`, which was the last."""
    own = f"-{of_pid}"
    found = [path for path in run.root.glob(".saving-*") if not path.name.endswith(own)]
    found += [path for path in run.root.glob(".checkpoint-*") if not path.name.endswith(own)]
    return [path.name for path in found]


def hidden(run: Run, before: float = math.inf) -> list[str]:
    """Names of what processes were writing, anywhere in the run, and had not changed for a while at `before`.

    Younger ones stay: a process that is alive might be writing them.
    """
    found = [path for path in run.root.rglob(".*") if HIDDEN.match(path.name)]
    old = [path for path in found if path.stat().st_mtime < before - LEFT_FOR_SECONDS or not YOUNG.search(path.name)]
    return [str(path.relative_to(run.root)) for path in old]


def orphans(run: Run) -> list[str]:
    """Data of checkpoints without an index."""
    return [
        path.name
        for path in run.root.glob("ckpt-*.data-*")
        if not path.with_name(f"{path.name.partition('.data-')[0]}.index").exists()
    ]


def _check_checkpoints(run: Run) -> list[str]:
    """In a process of its own: it reads with TensorFlow."""
    from app.odapi.checkpoint_files import fault

    best = find_prefixes(run.best) if run.best.is_dir() else []
    prefixes = [*map(run.checkpoint, run.checkpoint_steps()), *best]
    found = {prefix: fault(prefix) for prefix in prefixes}
    return [f"{prefix} is broken: {what}" for prefix, what in found.items() if what is not None]


def _check_reported(run: Run, reported: set[int]) -> list[str]:
    # Retention counts as well what is there and was not reported: its process was killed between the two.
    there = set(run.checkpoint_steps())
    kept = sorted(reported | there)[-MAX_TO_KEEP:]
    return [f"step {step} was reported as saved and is not there" for step in kept if step not in there]


def _check_state(run: Run) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):
        for name in re.findall(r'"(.*)"', (run.root / "checkpoint").read_text()):
            if checkpoint_step(name) not in run.checkpoint_steps():
                yield f"the file checkpoint names {name}, which is not there"
    if run.best_card.exists():
        step = read_best(run).get("step")
        if [checkpoint_step(prefix.name) for prefix in find_prefixes(run.best)] != [step]:
            yield f"best.json is of step {step}, and that is not beside it"


def _check_final_names(run: Run) -> Iterator[str]:
    for path in [*run.root.rglob("*.json"), *run.root.glob("DONE")]:
        if not path.relative_to(run.root).parts[0].startswith((".", SAMPLE_PREFIX)):
            try:
                json.loads(path.read_text("utf-8"))
            except ValueError as error:
                yield f"{path} is not whole: {error}"
    pipeline_config.read_pipeline(run.pipeline_config)


def read_lines(path: Path) -> list[dict]:
    """The lines, without a last one that has no end. Raises ValueError."""
    text = path.read_text("utf-8") if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].split("\n") if line]


def _check_metrics(run: Run, gaps: bool) -> Iterator[str]:
    try:
        steps = [row["step"] for row in read_lines(run.metrics)]
    except ValueError as error:
        if not gaps:
            yield f"metrics.jsonl: {error}"
        return
    if gaps and steps != sorted(set(steps)):
        yield f"metrics.jsonl has steps twice or out of order: {steps}"
    elif not gaps and steps != list(range(1, len(steps) + 1)):
        odd = next(index for index, step in enumerate(steps) if step != index + 1)
        yield f"metrics.jsonl has not each step once: {steps[max(odd - 3, 0) : odd + 4]}"


def _check_evaluations(run: Run, wanted: set[int]) -> Iterator[str]:
    try:
        rows = read_lines(run.evaluations)
    except ValueError:
        return
    steps = [row["step"] for row in rows]
    if len(steps) != len(set(steps)):
        yield f"evaluations.jsonl has steps twice: {steps}"
    if not wanted <= set(steps):
        yield f"evaluations.jsonl lacks {sorted(wanted - set(steps))}"
    for step in steps:
        if not run.evaluation_details(step).exists():
            yield f"no details of the evaluation of step {step}"
    if any(row["images"] != row["expected"] for row in rows):
        yield "an evaluation has not all images"
