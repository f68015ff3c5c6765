"""Preflight of a run: what `prepare` and `train` check before GPU time is spent."""

import contextlib
import shutil
from typing import Any

from app.machine import memory
from app.run.directory import Run
from app.settings import Settings


def preflight(run: Run, settings: Settings, config: Any, **known: Any) -> None:
    """Checks pipeline, label map, records, checkpoint and machine against each other. Raises SettingsError.

    `known`: what only the trainer knows, see `pipeline.preflight.check`.
    """
    from app.dataset import card as cards
    from app.pipeline import preflight as checks
    from app.protos.label_map import parse_label_map

    card = cards.read(run.records)
    label_map = parse_label_map(run.label_map.read_text("utf-8"), where=str(run.label_map))
    boxes = None
    if card is not None:
        boxes = {number: card.train.boxes_per_class.get(name, 0) for number, name in enumerate(card.classes, start=1)}
    findings = checks.check(
        config,
        label_map=label_map,
        boxes_per_class=boxes,
        classes=card.classes if card is not None else None,
        resuming=bool(run.checkpoint_steps()),
        resources=_resources(run, settings, config),
        **known,
    )
    checks.raise_if_any(findings)


def _resources(run: Run, settings: Settings, config: Any) -> Any:
    from app.pipeline import build, footprint
    from app.pipeline.resources import Resources

    names = [name for name in footprint.WriteSchedule.__dataclass_fields__ if name != "checkpoint_every_n"]
    every_n = settings.checkpoint_every_n or build.checkpoint_every_n(config.train_config.num_steps)
    there = memory.of_training()
    sizes = [_bytes_of(run, step) for step in run.checkpoint_steps()]
    return Resources(
        writing=footprint.WriteSchedule(
            checkpoint_every_n=every_n, **{name: getattr(settings, name) for name in names}
        ),
        free_bytes=shutil.disk_usage(run.root).free,
        checkpoint_bytes=max(sizes, default=0),
        present_bytes=sum(sizes),
        memory_bytes=there.size,
        memory_of=there.of,
    )


def _bytes_of(run: Run, step: int) -> int:
    """Bytes of the files of a checkpoint."""
    prefix, total = run.checkpoint(step), 0
    for path in prefix.parent.glob(f"{prefix.name}.*"):
        with contextlib.suppress(FileNotFoundError):  # A trainer at work deletes old ones.
            total += path.stat().st_size
    return total
