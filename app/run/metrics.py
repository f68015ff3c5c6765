"""The lines of `metrics.jsonl`: what the trainer measured, a line an interval."""

from collections.abc import Mapping
from typing import Any

from app.run.directory import Run
from app.run.files import append_line, parse_line, read_lines, replacing
from app.run.lenient_json import Schema, count, moment, number, numbers

TAIL_BYTES = 16_384
"""Of the file, that hold its last line."""
METRICS = Schema(
    {
        "step": count,
        "of": count,
        "time": moment,
        "loss": number,
        "losses": numbers,
        "learning_rate": number,
        "steps_per_sec": number,
        "examples_per_sec": number,
        "memory_mb": number,
        "goodput": numbers,
        "skipped_records": count,
    },
    required=("step",),
)


def append_metrics(run: Run, row: Mapping[str, Any]) -> None:
    """Adds a line."""
    append_line(run.metrics, dict(row))


def read_metrics(run: Run, *, tail_bytes: int | None = None) -> list[dict[str, Any]]:
    """The lines in order, each with a `step`; `tail_bytes` as for `read_lines`."""
    return read_lines(run.metrics, METRICS, tail_bytes=tail_bytes)


def newest_metrics(run: Run) -> dict[str, Any]:
    """The last line, at the same cost however long the file is; empty without any."""
    rows = read_metrics(run, tail_bytes=TAIL_BYTES)
    return rows[-1] if rows else {}


def drop_metrics_after(run: Run, step: int) -> int:
    """Drops the lines of steps after `step`, which will be run again; returns how many. The file is replaced whole."""
    if not any(row["step"] > step for row in read_metrics(run)):
        return 0
    lines = run.metrics.read_bytes().split(b"\n")
    kept = [line for line in lines if (METRICS.fit(parse_line(line)) or {"step": step})["step"] <= step]
    with replacing(run.metrics) as staging:
        staging.write_bytes(b"\n".join(kept))
    return len(lines) - len(kept)
