"""The cost of a run: time, speed, memory, disk."""

import itertools
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.run.directory import CHECKPOINT_PREFIX, SAMPLE_PREFIX, Run
from app.run.lenient_json import number
from app.run.provenance import read_event_log_budget

EVENTS = "TensorBoard events"


@dataclass(frozen=True)
class Cost:
    """None is what was not measured. `bytes` by kind of file, the largest first."""

    training_seconds: float | None
    pauses: int
    evaluation_seconds: float | None
    evaluations: int
    steps_per_sec: float | None
    examples_per_sec: float | None
    memory_mb: float | None
    bytes: Mapping[str, int]
    event_budget: int = 0
    """Bytes that TensorBoard's events may take; 0 without a limit."""

    @property
    def total_bytes(self) -> int:
        return sum(self.bytes.values())


def measure_cost(run: Run, rows: Sequence[Mapping[str, Any]], evaluations: Sequence[Mapping[str, Any]]) -> Cost:
    """The cost of `run` by its rows of metrics.jsonl, in the order written, and by its evaluations.

    Speeds are medians over the rows, memory is the trainer's highest on the host.
    """
    seconds, pauses = training_seconds(rows)
    evaluating = [number(row.get("seconds")) for row in evaluations]
    known = [value for value in evaluating if value is not None]
    return Cost(
        training_seconds=seconds,
        pauses=pauses,
        evaluation_seconds=sum(known) if known else None,
        evaluations=len(evaluations),
        steps_per_sec=_median(rows, "steps_per_sec"),
        examples_per_sec=_median(rows, "examples_per_sec"),
        memory_mb=max(_values(rows, "memory_mb"), default=None),
        bytes=bytes_by_kind(run),
        event_budget=read_event_log_budget(run),
    )


PAUSE_SECONDS = 10.0
"""A gap this much longer than the steps took is a pause, not the saving of a checkpoint."""


def training_seconds(rows: Sequence[Mapping[str, Any]]) -> tuple[float | None, int]:
    """Seconds of training by the rows in the order written, and how often it paused (was stopped and went on).

    A row's steps took what its own rate says, and never longer than the time since the row before it. Steps that a
    restart went back over count twice, as they cost twice. None without a row that has a time and a rate.
    """
    total, pauses, counted = 0.0, 0, False
    before: Mapping[str, Any] | None = None
    usual = _usual_steps(rows)
    for row in rows:
        rate, now = number(row.get("steps_per_sec")), number(row.get("time"))
        last, then = (number(before.get(name)) if before else None for name in ("step", "time"))
        steps = row["step"] - (last or 0)
        if steps <= 0:
            steps = min(usual, row["step"])
        gap = now - then if now is not None and then is not None else None
        took = steps / rate if rate else gap
        if took is not None:
            counted = True
            if gap is not None and gap >= 0:
                pauses += gap > took + PAUSE_SECONDS or row["step"] <= (last or 0)
                took = min(took, gap)
            total += took
        before = row
    return (total if counted else None), pauses


def _usual_steps(rows: Sequence[Mapping[str, Any]]) -> float:
    """The most frequent number of steps between two rows."""
    ahead = [after["step"] - row["step"] for row, after in itertools.pairwise(rows)]
    return statistics.mode([steps for steps in ahead if steps > 0] or [1])


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [value for row in rows if (value := number(row.get(name))) is not None]


def _median(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = _values(rows, name)
    return statistics.median(values) if values else None


def bytes_by_kind(run: Run) -> dict[str, int]:
    """Bytes of the run's files by purpose, the largest first; files that are deleted meanwhile do not count."""
    found: dict[str, int] = {}
    for folder, _, names in os.walk(run.root):
        for name in names:
            path = os.path.join(folder, name)
            try:
                size = os.lstat(path).st_size
            except OSError:
                continue
            kind = _kind(run, os.path.relpath(path, run.root))
            found[kind] = found.get(kind, 0) + size
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _kind(run: Run, relative: str) -> str:
    top = relative.split(os.sep)[0]
    named = {
        run.best.name: "best checkpoint",
        run.records.name: "records",
        run.train_events.name: EVENTS,
        run.eval_events.name: EVENTS,
        run.exports.name: "exports",
        run.detections.name: "images",
        run.detected.name: "images",
        run.promoted("", 0).parent.name: "promoted checkpoints",
        run.logs.name: "logs",
    }
    if top.startswith(CHECKPOINT_PREFIX):
        return "checkpoints"
    if top.startswith(SAMPLE_PREFIX):
        return "built-in sample"
    return named.get(top, "the rest")
