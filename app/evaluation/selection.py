"""The best evaluated checkpoint, kept as a copy that outlives retention."""

import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.checkpoint import Checkpoint, find_prefixes
from app.run.directory import Run, checkpoint_step
from app.run.evaluations import measured, read_best, read_details, read_evaluations
from app.run.files import flush, replacing, write_json
from app.run.metrics import read_metrics

log = logging.getLogger(__name__)

TRAINING_LOSS = "Train/total_loss"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What makes a checkpoint better than another; `metric` and `direction` as the settings of `best_metric`.

    Checkpoints before `first_step` can't be the best.
    """

    metric: str
    direction: str = ""
    first_step: int = 0

    def is_better(self, value: float | None, than: float | None) -> bool:
        """Whether `value` beats `than`; what says "nothing to measure" never does, and any other beats it."""
        value, than = measured(value), measured(than)
        if value is None:
            return False
        if than is None:
            return True
        return value < than if lower_is_better(self.metric, self.direction) else value > than


def lower_is_better(metric: str, direction: str = "") -> bool:
    """As `direction` says; without one, a loss is better when it is lower, all else (precision, recall) higher."""
    return direction == "lower" if direction else "loss" in metric.lower()


def first_eligible_step(epochs: float, *, batch_size: int, images: int) -> int:
    """The first step at which `epochs` of training have passed: epochs = step * batch_size / images."""
    return math.ceil(epochs * images / batch_size - 1e-9)


def training_loss(run: Run, step: int) -> float | None:
    """The training loss at `step`: that of the newest line of `metrics.jsonl` at or before it."""
    rows = [row for row in read_metrics(run) if row["step"] <= step]
    newest = max(enumerate(rows), key=lambda at: (at[1]["step"], at[0]), default=None)
    return newest[1].get("loss") if newest else None


def keep_best(
    run: Run, prefix: Path, step: int, metrics: Mapping[str, float | None], details: dict[str, Any], rule: Rule
) -> bool:
    """Copies the checkpoint `prefix` of `step` to `best/` if it beats the best there is by `rule`.

    The folder is replaced as a whole. A second call for the same step changes nothing.
    """
    value = metrics.get(rule.metric)
    before = read_best(run)
    best_value = before.get("value") if before.get("metric") == rule.metric else None
    if step < rule.first_step or not rule.is_better(value, best_value):
        return False
    with replacing(run.best) as folder:
        Checkpoint(prefix, run.pipeline_config, run.label_map, step, run).copy_to(folder)
        # Last: a folder with a card is complete.
        write_json(folder / run.best_card.name, _best_card(prefix, step, metrics, details, rule))
        flush(folder.iterdir())
    return True


def _best_card(
    prefix: Path, step: int, metrics: Mapping[str, float | None], details: Mapping[str, Any], rule: Rule
) -> dict[str, Any]:
    return {
        "step": step,
        "metric": rule.metric,
        "direction": "lower" if lower_is_better(rule.metric, rule.direction) else "higher",
        "value": metrics.get(rule.metric),
        "checkpoint": prefix.name,
        "metrics": metrics,
        "details": details,
    }


def restore_best(run: Run, rule: Rule) -> None:
    """Restores `best/` if its writer was killed between the two renames that replace it, and removes leftovers.

    A card that can't be read is written again from the evaluation of the checkpoint beside it: without its value the
    next checkpoint would take its place, better or not.
    """
    for staging in run.root.glob(f".{run.best.name}.*"):
        for left in (staging / run.best.name, staging / "old"):
            if not run.best.exists() and (left / run.best_card.name).is_file():
                left.rename(run.best)
        shutil.rmtree(staging, ignore_errors=True)
    prefixes = find_prefixes(run.best) if run.best.is_dir() else []
    step = checkpoint_step(prefixes[0].name) if len(prefixes) == 1 else None
    if step is not None and not read_best(run):
        rows = {row["step"]: row for row in read_evaluations(run)}
        metrics = rows.get(step, {}).get("metrics", {})
        write_json(run.best_card, _best_card(prefixes[0], step, metrics, read_details(run, step), rule))
        log.warning("%s: written again from the evaluation of step %d", run.best_card, step)


def metric_values(rows: Sequence[dict[str, Any]], metric: str) -> list[tuple[int, float]]:
    """`(step, value)` of the lines of `evaluations.jsonl` that measured `metric`, in their order."""
    found = [(row["step"], measured(row.get("metrics", {}).get(metric))) for row in rows]
    return [(step, value) for step, value in found if value is not None]
