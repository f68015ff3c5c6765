"""The lines of `evaluations.jsonl`."""

import json
import re
from typing import Any

from app.run.directory import Run

_EVALUATION = re.compile(r'(\{.*?), "details": .*, "time": ([0-9.]+)\}')
"""A line as the evaluator writes it, which nothing that was cut short matches: only a whole one has its time."""


def read_evaluations(run: Run) -> list[dict[str, Any]]:
    """The lines of `evaluations.jsonl` without their `details`, which are most of every line.

    Services read the file every few seconds; this way it costs little with many classes too.
    """
    try:
        text = run.evaluations.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    rows = []
    for line in text.splitlines():
        whole = _EVALUATION.fullmatch(line)
        try:
            row = json.loads(f'{whole[1]}, "time": {whole[2]}}}' if whole else line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and "step" in row:
            row.pop("details", None)
            rows.append(row)
    return rows


def evaluated_steps(run: Run) -> set[int]:
    """The steps whose checkpoint has been evaluated."""
    return {int(row["step"]) for row in read_evaluations(run)}
