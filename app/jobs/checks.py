"""What `prepare` and `train` check before a run is trained."""

import os
import shutil
from collections.abc import Sequence

from app.checkpoint import bytes_of
from app.dataset import card as cards
from app.evaluation import metrics_sets
from app.machine import memory, precision
from app.pipeline import batch_size_record, fine_tune_checks, preflight, step_plan
from app.pipeline.resources import Resources
from app.protos import label_map
from app.protos.pipeline_config import PipelineConfig
from app.run.directory import Run
from app.services import trial
from app.settings import Settings
from app.write_schedule import WriteSchedule


def check_before_training(
    run: Run,
    config: PipelineConfig,
    schedule: WriteSchedule,
    *,
    replicas: int = 1,
    parts: int = 1,
    workers: int = 1,
    verify_checkpoint: fine_tune_checks.VerifyCheckpoint | None = None,
) -> None:
    """Checks pipeline, label map, records, checkpoint and machine against each other. Raises SettingsError.

    `replicas`, `parts`, `workers`, `verify_checkpoint`: see `pipeline.preflight.check`.
    """
    card = cards.read(run.records)
    boxes = None
    if card is not None:
        boxes = {number: card.train.boxes_per_class.get(name, 0) for number, name in enumerate(card.classes, start=1)}
    there = memory.training_memory()
    sizes = [bytes_of(run.checkpoint(step)) for step in run.checkpoint_steps()]
    findings = preflight.check(
        config,
        label_map=names_of(run),
        boxes_per_class=boxes,
        classes=card.classes if card is not None else None,
        resuming=bool(sizes),
        resources=Resources(
            schedule=schedule,
            free_bytes=shutil.disk_usage(run.root).free,
            checkpoint_bytes=max(sizes, default=0),
            present_bytes=sum(sizes),
            memory_bytes=there.size,
            memory_of=there.of,
        ),
        replicas=replicas,
        parts=parts,
        workers=workers,
        verify_checkpoint=verify_checkpoint,
        masks=card.masks if card is not None else None,
        keypoints=card.keypoints if card is not None else 0,
    )
    preflight.raise_if_any(findings)


def check_metrics(run: Run, config: PipelineConfig, settings: Settings) -> None:
    """Checks what is to be measured, and that `best_metric` is part of it. Raises SettingsError."""
    card, classes = cards.read(run.records), names_of(run).values()
    if card is not None:
        metrics_sets.check_sets(config, classes=classes, masks=card.masks, keypoints=card.keypoints > 0)
    metrics_sets.check_best_metric(settings.best_metric, config, classes)


def try_before_training(run: Run, config: PipelineConfig, settings: Settings) -> None:
    """The trial of `config` on the run's records, if there is to be one. SettingsError, DatasetError."""
    card = cards.read(run.records)
    if settings.trial_secs and card is not None:
        limits, skips = trial.Limits(settings.trial_secs, trial.free_memory()), settings.skip_corrupt_records > 0
        plan = plan_step(settings, config, images_of_pass(run, settings))
        trial.try_pipeline(run, config, card.fingerprint, limits, plan, skips_records=skips)


def images_of_pass(run: Run, settings: Settings) -> int:
    """The images of a pass: as given, or as found for the run, of an update for want of that; 0 for the model's."""
    if isinstance(settings.batch_size, int):
        return settings.batch_size
    found = batch_size_record.read(run)
    return found.batch_size if found else settings.effective_batch_size


def plan_step(
    settings: Settings, config: PipelineConfig, images: int, capabilities: Sequence[tuple[int, ...]] | None = None
) -> step_plan.StepPlan:
    """How each step of `config` is computed in passes of `images` (0: the model's) on GPUs of these capabilities.

    None: as they are listed. Raises SettingsError.
    """
    if capabilities is None:
        capabilities = precision.capabilities_listed(environ=os.environ)
    return step_plan.make(
        config,
        choice=precision.choose(settings.mixed_precision, capabilities),
        batch_size=images,
        effective_batch_size=settings.effective_batch_size,
        jit=settings.jit_compile,
    )


def names_of(run: Run) -> dict[int, str]:
    return label_map.read_label_map(run.label_map)
