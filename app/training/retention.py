"""Which checkpoints are kept: the newest, and within a bound those that nobody has evaluated yet."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class RetentionPlan:
    """Steps whose checkpoints go, ascending; `unseen` are those of them that were never evaluated."""

    delete: tuple[int, ...]
    unseen: tuple[int, ...]


def plan_retention(
    steps: Collection[int], evaluated: Collection[int], *, max_to_keep: int, backlog_max: int
) -> RetentionPlan:
    """What to delete of the checkpoints at `steps`.

    The newest `max_to_keep` stay. Of the older ones, those not in `evaluated` stay as well, the newest
    `backlog_max` of them at most.
    """
    older = sorted(steps)[:-max_to_keep]
    waiting = [step for step in older if step not in set(evaluated)]
    kept = set(waiting[-backlog_max:] if backlog_max else ())
    unseen = tuple(step for step in waiting if step not in kept)
    return RetentionPlan(tuple(step for step in older if step not in kept), unseen)
