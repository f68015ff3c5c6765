"""Where a run that diverged goes back to: a checkpoint from before it began."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import DivergedError
from app.humanize import format_count
from app.run.directory import Run
from app.run.evaluations import count_evaluations
from app.run.metrics import read_metrics
from app.run.rollbacks import append_rollback, read_rollbacks
from app.settings import flag
from app.training.resume import set_aside

log = logging.getLogger(__name__)

ROLLBACKS = 3
"""In a run, over all its starts."""
EXPLODED = 2.0
"""A loss of so many times the lower quartile of the run's is part of the explosion, if all after it are as well."""


def last_good_loss(rows: Sequence[Mapping[str, Any]]) -> tuple[int, bool]:
    """The step of the last loss in rows of metrics.jsonl that is no part of an explosion, and whether any after it is.

    0 if there is none.
    """
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    if not losses:
        return 0, False
    usual = sorted(loss for _, loss in losses)[(len(losses) - 1) // 4]
    last = max((step for step, loss in losses if loss <= EXPLODED * usual), default=0)
    return last, last < losses[-1][0]


def last_good(checkpoints: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The newest of the steps `checkpoints`, ascending, that is no later than the last good loss; None if none is.

    Where no loss has exploded, the oldest will do.
    """
    good, has_exploded = last_good_loss(rows)
    before = [step for step in checkpoints if step <= good]
    return before[-1] if before else next(iter(checkpoints if not has_exploded else ()), None)


def roll_back(run: Run, error: DivergedError, *, before: float, rate: float) -> int:
    """Sets aside what was saved since the last good loss, and records the rollback; the step to go on from.

    `before`, `rate`: the learning rate until now and from now on. Raises `error` with another remedy if the run has had
    all its rollbacks.
    """
    done, steps = len(read_rollbacks(run)), run.checkpoint_steps()
    if done >= ROLLBACKS:
        remedy = f"another run with a lower learning rate: {flag('run', 'NAME')} {flag('learning_rate')}"
        raise DivergedError(f"{error.what}; all {ROLLBACKS} rollbacks are used up", where=error.where, remedy=remedy)
    step = last_good(steps, read_metrics(run)) or 0
    if later := [one for one in steps if one > step]:
        set_aside(run, [run.checkpoint(one) for one in reversed(later)])
        number = format_count(len(later), "checkpoint")
        log.warning("train | %s after step %d set aside in %s", number, step, run.broken)
    reason = error.what.partition(";")[0]
    rollback = append_rollback(
        run, step=step, before=before, rate=rate, reason=reason, evaluations=count_evaluations(run)
    )
    log.warning("train | rollback %d of %d %s", done + 1, ROLLBACKS, rollback)
    return step
