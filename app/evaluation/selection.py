"""Which evaluated checkpoint is the best, and a copy of it that outlives retention."""

import math
import shutil
from typing import Any

from app import runs


def is_better(value: float, than: float | None, metric: str) -> bool:
    """Whether `value` of `metric` beats `than`: a loss by being lower, all else by being higher; NaN never."""
    if not math.isfinite(value):
        return False
    if than is None:
        return True
    return value < than if lower_is_better(metric) else value > than


def lower_is_better(metric: str) -> bool:
    """Upstream names its losses `Loss/...`; every other metric is a precision or a recall."""
    return metric.startswith("Loss/")


def keep_best(run: runs.Run, step: int, metrics: dict[str, float], metric: str) -> bool:
    """Copies the checkpoint of `step` to `best/` if `metrics[metric]` beats the best there is.

    The folder is replaced as a whole. Raises KeyError if there is no such metric.
    """
    value = metrics[metric]
    before: dict[str, Any] = runs.read_json(run.best_card) or {}
    if not is_better(value, before.get("value") if before.get("metric") == metric else None, metric):
        return False
    with runs.replacing(run.best) as folder:
        folder.mkdir()
        for path in sorted(run.root.glob(f"ckpt-{step}.*")):
            shutil.copy2(path, folder / path.name)
        for path in (run.pipeline_config, run.label_map):
            shutil.copy2(path, folder / path.name)
        # Upstream's exporter finds a checkpoint by this file.
        runs.write_text(folder / "checkpoint", f'model_checkpoint_path: "ckpt-{step}"\n')
        runs.write_json(
            folder / run.best_card.name,
            {
                "step": step,
                "metric": metric,
                "value": value,
                "checkpoint": f"ckpt-{step}",
                "metrics": metrics,
            },
        )
    return True
