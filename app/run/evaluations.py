"""What the evaluator found: a line a checkpoint in `evaluations.jsonl`, the details of each in a file of its own."""

from collections.abc import Mapping
from typing import Any

from app.run.directory import Run
from app.run.files import append_line, read_lines, read_object, write_json
from app.run.lenient_json import (
    Schema,
    count,
    file_name,
    mapping,
    moment,
    number,
    text,
    with_current_keys,
)
from app.run.rollbacks import is_superseded, read_rollbacks

UNMEASURED = -1
"""COCO's figure where there is nothing to measure. PASCAL has NaN."""


def measured(value: Any) -> float | None:
    """A figure of an evaluation, or None for one that says that there is nothing to measure."""
    found = number(value)
    return None if found == UNMEASURED else found


def _figures(value: Any) -> dict[str, float | None]:
    """The figures of an evaluation by name."""
    return {name: measured(held) for name, held in mapping(value).items()}


EVALUATION = Schema(
    {
        "step": count,
        "checkpoint": text,
        "images": count,
        "expected": count,
        "seconds": number,
        "metrics": _figures,
        "time": moment,
    },
    required=("step",),
)
BEST = Schema(
    {
        "step": count,
        "checkpoint": file_name,
        "metric": text,
        "direction": text,
        "value": measured,
        "metrics": _figures,
        "details": mapping,
    },
    required=("step",),
)


def append_evaluation(run: Run, row: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """Writes the details of the row's step, then its line: a step with a line has its details too."""
    write_json(run.evaluation_details(row["step"]), details)
    append_line(run.evaluations, {**row, **({"metrics": _figures(row["metrics"])} if "metrics" in row else {})})


def read_evaluations(run: Run) -> list[dict[str, Any]]:
    """The lines of `evaluations.jsonl` in order, without the details that those of older runs have in them.

    `metrics` has None where there is nothing to measure. Those of checkpoints that a rollback set aside are left out.
    """
    rollbacks = read_rollbacks(run)
    numbered = enumerate(read_lines(run.evaluations, EVALUATION))
    rows = [row for number, row in numbered if not is_superseded(number, row["step"], rollbacks)]
    return [with_current_keys({key: value for key, value in row.items() if key != "details"}) for row in rows]


def count_evaluations(run: Run) -> int:
    """How many lines there are, those of checkpoints that a rollback set aside among them."""
    return len(read_lines(run.evaluations, EVALUATION))


def read_details(run: Run, step: int) -> Mapping[str, Any]:
    """The details of the evaluation of `step`; empty if it has none. Older runs have them in their lines."""
    if found := read_object(run.evaluation_details(step)):
        return found
    rows = [row for row in read_lines(run.evaluations, EVALUATION) if row["step"] == step]
    return mapping(with_current_keys(rows[-1].get("details"))) if rows else {}


def read_best(run: Run) -> dict[str, Any]:
    """The card of the best checkpoint, with the details of its evaluation; empty if there is none.

    It has `step`, and mostly `checkpoint`, `metric`, `direction`, `value`, `metrics`, `details`.
    """
    return with_current_keys(read_object(run.best_card, BEST))


def evaluated_steps(run: Run) -> set[int]:
    """The steps whose checkpoint has been evaluated."""
    return {row["step"] for row in read_evaluations(run)}
