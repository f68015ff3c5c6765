"""Early stopping: when training no longer improves, and the request to stop it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.evaluation.selection import Rule
from app.humanize import NOTHING_TO_MEASURE

REASON = "early-stopped"
"""What the reason in DONE begins with."""


@dataclass(frozen=True)
class Patience:
    """`evaluations` without improvement end training, 0: never; `min_delta` is the change that counts as one."""

    evaluations: int
    min_delta: float = 0.0


def stop_reason(rows: Sequence[dict[str, Any]], rule: Rule, patience: Patience) -> str | None:
    """The reason to stop after the evaluations `rows` (lines of `evaluations.jsonl`), or None.

    Decided from the rows alone, so that a restarted evaluator decides the same. Those before `rule.first_step`
    don't count; where there is nothing to measure there is no improvement.
    """
    best, best_step, waited = None, 0, 0
    for row in sorted(rows, key=lambda row: row["step"]):
        if row["step"] < rule.first_step:
            continue
        value = (row.get("metrics") or {}).get(rule.metric)
        if rule.is_better(value, best) and (best is None or abs(value - best) >= patience.min_delta):
            best, best_step, waited = value, row["step"], 0
        else:
            waited += 1
    if not patience.evaluations or waited < patience.evaluations:
        return None
    least = f" by {patience.min_delta:g}" if patience.min_delta else ""
    since = (
        f"{best:.4f} of step {best_step} was not improved{least}" if best is not None else f"had {NOTHING_TO_MEASURE}"
    )
    return f"{REASON}: {rule.metric} {since} in {waited} evaluations"
