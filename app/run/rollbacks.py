"""The rollbacks of a run, a line each in `rollbacks.jsonl`: they count over all its starts."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.run.directory import Run
from app.run.files import append_line, read_lines
from app.run.lenient_json import Schema, count, moment, number, text

MOST_RATE = 3.4e38
"""What single precision holds."""
SAME_RATE = 1e-3
"""Learning rates that differ by less of themselves are the same: a pipeline.config has them in single precision."""


def _rate(value: Any) -> float | None:
    found = number(value)
    return found if found is not None and 0 < found < MOST_RATE else None


ROLLBACK = Schema(
    {
        "step": count,
        "learning_rate_before": _rate,
        "learning_rate": _rate,
        "reason": text,
        "evaluations": count,
        "time": moment,
    },
    required=("step", "learning_rate_before", "learning_rate"),
)


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Training went back to `step` and on with a lower learning rate (the highest of its schedule).

    `evaluations`: how many there were; those of later steps among them are of checkpoints that are set aside.
    """

    step: int
    learning_rate_before: float
    learning_rate: float
    reason: str = "it diverged"
    evaluations: int = 0
    time: float = 0.0

    def __str__(self) -> str:
        return f"to step {self.step}, learning rate {self.learning_rate:.3g}: {self.reason}"


def read_rollbacks(run: Run) -> list[Rollback]:
    """Those of the run, in order."""
    rows = read_lines(run.rollbacks, ROLLBACK)
    return [Rollback(**{name: row[name] for name in ROLLBACK.types if name in row}) for row in rows]


def append_rollback(run: Run, *, step: int, before: float, rate: float, reason: str, evaluations: int) -> Rollback:
    """Records that training goes back to `step`, now."""
    rollback = Rollback(
        step=step,
        learning_rate_before=before,
        learning_rate=rate,
        reason=reason,
        evaluations=evaluations,
        time=time.time(),
    )
    append_line(run.rollbacks, asdict(rollback))
    return rollback


def lowered_rate(rate: float, rollbacks: Sequence[Rollback]) -> float:
    """What becomes of the learning rate `rate` by `rollbacks`: itself if it is another than the one that diverged."""
    for rollback in rollbacks:
        if math.isclose(rate, rollback.learning_rate_before, rel_tol=SAME_RATE):
            rate = rollback.learning_rate
    return rate


def is_superseded(number: int, step: int, rollbacks: Sequence[Rollback]) -> bool:
    """Whether the evaluation of that number, from 0, is of a checkpoint that a rollback set aside."""
    return any(number < rollback.evaluations and step > rollback.step for rollback in rollbacks)
