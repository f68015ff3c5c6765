"""How often a run writes what: every cadence of training, from the settings to the loop."""

from collections.abc import Collection
from dataclasses import dataclass

from app.humanize import parse_bytes
from app.settings import Settings, is_given

CHECKPOINTS_PER_RUN = 10
CHECKPOINT_EVERY_MOST = 1000
"""Upstream's own `checkpoint_every_n`."""


@dataclass(frozen=True, kw_only=True)
class WriteSchedule:
    """The settings of these names; the loop, its hook and the estimate of what a run takes read the same one.

    `checkpoint_every_n`: steps; with `checkpoint_every_secs`, which then decides, an estimate of them.
    `event_log_budget`: bytes, 0 for none. `exact`: the cadences that were given, which it does not change.
    """

    checkpoint_every_n: int
    checkpoint_every_secs: int
    checkpoint_max_to_keep: int
    checkpoint_backlog_max: int
    summary_every_n: int
    learning_rate_summary_every_n: int
    image_summary_every_n: int
    image_summary_max_outputs: int
    log_every_n: int
    num_steps_per_iteration: int
    eval_image_outputs: int
    eval_image_every_n: int = 1
    event_log_budget: int = 0
    exact: frozenset[str] = frozenset()


SUMMARIES = (
    "summary_every_n", "learning_rate_summary_every_n", "image_summary_every_n", "eval_image_every_n",
)  # fmt: skip
"""The cadences of what event files hold."""


def write_schedule(settings: Settings, num_train_steps: int, recorded: Collection[str] = ()) -> WriteSchedule:
    """The schedule of a run of so many steps; `recorded`: names of what was given to the run before."""
    return WriteSchedule(
        checkpoint_every_n=settings.checkpoint_every_n or checkpoint_every_n(num_train_steps),
        checkpoint_every_secs=settings.checkpoint_every_secs,
        checkpoint_max_to_keep=settings.checkpoint_max_to_keep,
        checkpoint_backlog_max=settings.checkpoint_backlog_max,
        summary_every_n=settings.summary_every_n,
        learning_rate_summary_every_n=settings.learning_rate_summary_every_n or settings.summary_every_n,
        image_summary_every_n=settings.image_summary_every_n,
        image_summary_max_outputs=settings.image_summary_max_outputs,
        log_every_n=settings.log_every_n,
        num_steps_per_iteration=settings.num_steps_per_iteration,
        eval_image_outputs=settings.eval_image_outputs,
        eval_image_every_n=settings.eval_image_every_n,
        event_log_budget=parse_bytes(settings.event_log_budget),
        exact=frozenset(name for name in SUMMARIES if is_given(settings, name) or name in recorded),
    )


def checkpoint_every_n(num_train_steps: int) -> int:
    """The default distance of checkpoints in steps: a tenth of the run, at most 1000."""
    return max(1, min(CHECKPOINT_EVERY_MOST, num_train_steps // CHECKPOINTS_PER_RUN))
