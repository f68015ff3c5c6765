"""A run's pipeline.config, made from its origin by the settings."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import SettingsError
from app.humanize import format_count
from app.pipeline import (
    augmentations,
    batch_norm,
    capacity,
    fine_tune,
    fine_tune_checks,
    image_size,
    readers,
    schedule,
    step_plan,
)
from app.pipeline.origin import Origin, find_origin
from app.protos import architecture, pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.run.directory import PIPELINE_CONFIG
from app.run.rollbacks import Rollback, lowered_rate
from app.settings import flag


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a pipeline is asked to be. Empty, 0 or None: the model's own value, or the default rule for it."""

    model: str = ""
    """A preset, or the path of a pipeline.config or of the folder that holds one."""
    fine_tune_checkpoint: str = ""
    """A folder in the zoo's layout, a folder of checkpoints, or a checkpoint prefix."""
    fine_tune_checkpoint_type: str = ""
    num_classes: int
    label_map_path: str = ""
    train_records: str = ""
    """A glob, as the trainer sees it."""
    eval_records: str = ""
    num_train_images: int = 0
    max_boxes_per_image: int = 0
    reading_host: readers.Host | None = None
    """What will read the training records; None: not known, and nothing is fitted to it."""
    batch_size: int = 0
    """Images of one pass through the model, over all replicas."""
    effective_batch_size: int = 0
    """Images of one update, which is one step; 0: one pass."""
    num_train_steps: int = 0
    learning_rate: float | None = None
    """The highest rate of the schedule."""
    learning_rate_schedule: str = ""
    """cosine, step or constant."""
    warmup_steps: int | None = None
    batch_norm_decay: float | None = None
    image_size: str = ""
    """Height x width in pixels, or one number for both."""
    augmentations: str = ""
    """Names, comma-separated; `none`: no augmentation."""
    eval_batch_size: int = 8
    eval_image_outputs: int = 6
    sample_1_of_n_eval_examples: int = 1
    config_override: str = ""
    """Proto text, merged last."""
    seed: int = 0
    """Not part of a pipeline.config; carried for the record."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A finished pipeline.config."""

    config: PipelineConfig
    """The TrainEvalPipelineConfig message."""
    text: str
    origin: str
    """`preset NAME`, or the path of the pipeline.config that was edited."""
    diff: str
    """Unified diff from the origin to `text`."""
    notes: tuple[str, ...]
    """One line for each change beyond what was asked, with its reason."""
    batch_size: int
    num_train_steps: int
    learning_rate: float
    fine_tune_checkpoint: str
    """Prefix of the checkpoint that training starts from, or empty."""


def lower_rate(config: PipelineConfig, rollbacks: Sequence[Rollback]) -> str:
    """Has `config` learn at the rate that `rollbacks` have led to; a note, empty where nothing is changed."""
    if not rollbacks:
        return ""
    rate = schedule.rate_message(config)
    peak = schedule.peak(rate)
    lowered = lowered_rate(peak, rollbacks)
    if lowered == peak:
        return ""
    schedule.scale(rate, lowered / peak)
    return f"learning rate {peak:.3g} lowered to {lowered:.3g} by {format_count(len(rollbacks), 'rollback')}"


def build(request: Request, origin: Origin | None = None, rollbacks: Sequence[Rollback] = ()) -> Pipeline:
    """The pipeline.config for `request`, made of `origin` (whose config it edits), else of the one that it names.

    `rollbacks`: those of the run, which have lowered its learning rate.

    SettingsError (one line) where no usable one can be made.
    """
    origin = origin or find_origin(request.model, request.fine_tune_checkpoint)
    before = pipeline_config.print_pipeline(origin.config)
    config = origin.config
    notes = _edit(config, request, origin.name)
    if request.config_override:
        pipeline_config.merge_pipeline(request.config_override, config, where="config_override")
    if request.reading_host:
        notes += readers.fit_train(config, num_images=request.num_train_images, host=request.reading_host)
    if note := lower_rate(config, rollbacks):
        notes.append(note)
    step_plan.count_parts(
        config.train_config.batch_size,
        batch_size=request.batch_size,
        effective_batch_size=request.effective_batch_size,
    )
    text = pipeline_config.print_pipeline(config)
    steps = config.train_config.num_steps
    return Pipeline(
        config=config,
        text=text,
        origin=origin.name,
        diff=_diff(before, text, origin.name),
        notes=tuple(notes),
        batch_size=config.train_config.batch_size,
        num_train_steps=steps,
        learning_rate=round(schedule.peak(schedule.rate_message(config)), 9),
        fine_tune_checkpoint=config.train_config.fine_tune_checkpoint,
    )


def _edit(config: PipelineConfig, request: Request, origin: str) -> list[str]:
    architecture.body(config, where=origin).num_classes = request.num_classes
    notes = fine_tune.edit(
        config, checkpoint=request.fine_tune_checkpoint, checkpoint_type=request.fine_tune_checkpoint_type
    )
    notes += fine_tune_checks.notes(config)
    notes += image_size.edit(config, request.image_size)
    notes += augmentations.edit(config, request.augmentations)
    notes += _edit_length(config, request, origin)
    notes += batch_norm.edit(config, steps=config.train_config.num_steps, explicit=request.batch_norm_decay)
    if config.train_config.use_bfloat16:
        config.train_config.use_bfloat16 = False
        notes.append("use_bfloat16 is off: upstream casts images for TPUs only (--mixed_precision for GPUs)")
    readers.edit_paths(
        config, label_map=request.label_map_path, train_records=request.train_records, eval_records=request.eval_records
    )
    readers.edit_train(config, num_images=request.num_train_images)
    notes += readers.edit_batching(config, config.train_config.batch_size)
    notes += readers.edit_eval(
        config,
        batch_size=request.eval_batch_size,
        image_outputs=request.eval_image_outputs,
        sample_1_of_n=request.sample_1_of_n_eval_examples,
    )
    notes += capacity.edit(config, request.max_boxes_per_image)
    return notes


def _edit_length(config: PipelineConfig, request: Request, origin: str) -> list[str]:
    """Batch size, number of steps, and the learning rate that goes with them."""
    train, notes = config.train_config, []
    origin_batch, origin_steps = train.batch_size, train.num_steps
    train.batch_size = request.effective_batch_size or request.batch_size or origin_batch
    train.num_steps = request.num_train_steps or origin_steps
    if not train.num_steps:
        raise SettingsError("has no num_steps", where=origin, remedy=flag("num_train_steps"))
    rate = schedule.rate_message(config)
    own = schedule.peak(rate)
    if own <= 0:
        raise SettingsError("has a learning rate of 0", where=origin, remedy=flag("learning_rate"))
    peak = request.learning_rate or schedule.scaled_peak(own, train.batch_size, origin_batch)
    if request.learning_rate is None and train.batch_size != origin_batch:
        notes.append(
            f"learning rate {own:g} scaled from batch {origin_batch} to {train.batch_size}: {peak:.3g}, by "
            f"the square root of the ratio ({flag('learning_rate')})"
        )
    old_length, old_warmup = schedule.length(config), schedule.warmup_of(rate)[0]
    schedule.edit(
        rate,
        shape=request.learning_rate_schedule,
        new_peak=peak,
        steps=train.num_steps,
        origin_steps=origin_steps,
        warmup_steps=request.warmup_steps,
    )
    length, warmup = schedule.length(config), schedule.warmup_of(rate)[0]
    if old_length and length and length != old_length:
        notes.append(
            f"learning rate schedule fitted to {train.num_steps} steps: "
            f"its last change moved from step {old_length} to {length}"
        )
    if request.warmup_steps is None and warmup != old_warmup:
        notes.append(f"warm-up of {old_warmup} steps shortened to {warmup} ({flag('warmup_steps')})")
    return notes


def _diff(before: str, after: str, origin: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), origin, PIPELINE_CONFIG, n=2, lineterm="")
    return "".join(f"{line}\n" for line in lines)
