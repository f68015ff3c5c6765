"""What the evaluator found: a line a checkpoint in `evaluations.jsonl`, the details of each in a file of its own."""

from collections.abc import Mapping
from typing import Any

from app.run.directory import Run
from app.run.files import append_line, read_json, read_lines, write_json
from app.run.lenient_json import mapping, number, with_current_keys

UNMEASURED = -1
"""COCO's figure where there is nothing to measure. PASCAL has NaN."""


def measured(value: Any) -> float | None:
    """A figure of an evaluation, or None for one that says that there is nothing to measure."""
    found = number(value)
    return None if found == UNMEASURED else found


def append_evaluation(run: Run, row: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """Writes the details of the row's step, then its line: a step with a line has its details too."""
    write_json(run.evaluation_details(row["step"]), details)
    append_line(run.evaluations, _with_measured(row))


def read_evaluations(run: Run) -> list[dict[str, Any]]:
    """The lines of `evaluations.jsonl` in order, without the details that those of older runs have in them.

    `metrics` has None where there is nothing to measure.
    """
    rows = [row for row in read_lines(run.evaluations) if number(row.get("step")) is not None]
    kept = [with_current_keys({key: value for key, value in row.items() if key != "details"}) for row in rows]
    return [_with_measured(row) for row in kept]


def read_details(run: Run, step: int) -> Mapping[str, Any]:
    """The details of the evaluation of `step`; empty if it has none. Older runs have them in their lines."""
    found = mapping(read_json(run.evaluation_details(step)))
    if found:
        return found
    rows = [row for row in read_lines(run.evaluations) if row.get("step") == step]
    return mapping(with_current_keys(rows[-1].get("details"))) if rows else {}


def read_best(run: Run) -> Mapping[str, Any]:
    """The card of the best checkpoint, with the details of its evaluation; empty if there is none."""
    return _with_measured(mapping(with_current_keys(read_json(run.best_card))))


def evaluated_steps(run: Run) -> set[int]:
    """The steps whose checkpoint has been evaluated."""
    return {int(row["step"]) for row in read_evaluations(run)}


def _with_measured(row: Mapping[str, Any]) -> dict[str, Any]:
    """A copy whose `metrics` and `value`, if it has any, are `measured`."""
    found = dict(row)
    if isinstance(found.get("metrics"), dict):
        found["metrics"] = {name: measured(value) for name, value in found["metrics"].items()}
    if "value" in found:
        found["value"] = measured(found["value"])
    return found
