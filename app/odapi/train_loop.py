"""The patched `train_loop`, run under a hook that decides."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf
from object_detection import model_lib_v2, train_seam

from app.dataset import integrity
from app.errors import DivergedError, SettingsError
from app.odapi import workers
from app.odapi.largest_images import LargestImages
from app.odapi.record_decoder import RecordDecoder
from app.odapi.train_step import TrainStep
from app.odapi.training_images import TrainingImages
from app.pipeline.run_config import is_misfit
from app.pipeline.step_plan import PLAIN, StepPlan
from app.protos import pipeline_config as configs
from app.run.heartbeat import first_line
from app.settings import flag
from app.write_schedule import WriteSchedule

logger = logging.getLogger(__name__)


class Hook(Protocol):
    """What `train_loop` asks (see `object_detection.train_seam.TrainLoopHook`), and what it goes by."""

    @property
    def schedule(self) -> WriteSchedule: ...
    def diverged(self, what: str) -> DivergedError: ...
    def resume_from(self, model_dir: str) -> str | None: ...
    def begin(self, loop: Any) -> None: ...
    def steps_to_run(self, loop: Any) -> int: ...
    def after_steps(self, loop: Any) -> None: ...
    def end(self, loop: Any) -> None: ...
    def call_failed(self) -> None: ...
    def save_rest(self) -> None: ...


def train(
    pipeline_config: Path,
    model_dir: Path,
    hook: Hook,
    strategy: Any,
    records: Sequence[str],
    images: TrainingImages | LargestImages,
    plan: StepPlan = PLAIN,
) -> None:
    """Trains the model of `pipeline_config` in `model_dir` until the hook ends it, on the record files `records`.

    `images` sees its batches. `plan`: how each step is computed.

    Raises DivergedError, DatasetError for records that can't be read, SettingsError where a checkpoint does not fit the
    model, and what the hook raises.
    """
    try:
        for line in plan.describe():
            logger.info("train | %s", line)
        with strategy.scope():
            step = TrainStep(plan)
        with images.passing_by(), step.in_place():
            _train(pipeline_config, model_dir, hook, strategy, records)
    except train_seam.NonFiniteError as error:
        raise hook.diverged(str(error)) from error
    except (AssertionError, ValueError) as error:
        if not is_misfit(error):
            raise
        raise SettingsError(
            f"the checkpoint does not fit the model: {first_line(error)}",
            where=str(model_dir),
            remedy=f"the model was changed since: start another run with {flag('run', 'NAME')}",
        ) from error


def _train(pipeline_config: Path, model_dir: Path, hook: Hook, strategy: Any, records: Sequence[str]) -> None:
    """As `train`, with upstream's errors. Where a record is to blame, the step before it is saved."""
    schedule = hook.schedule
    try:
        with strategy.scope():
            model_lib_v2.train_loop(
                str(pipeline_config),
                str(model_dir),
                hook=hook,
                train_input_path=list(records),
                summary_every_n=schedule.summary_every_n,
                image_summary_every_n=0,  # The hook writes them.
                num_steps_per_iteration=schedule.num_steps_per_iteration,
            )
    except tf.errors.OpError as error:
        hook.call_failed()
        if strategy.cluster_resolver and workers.is_loss(error):
            raise
        reader = configs.read_pipeline(pipeline_config).train_input_reader
        damage = integrity.find_damage(records, RecordDecoder(reader))
        if damage is None:
            raise
        with strategy.scope():
            hook.save_rest()
        raise damage from error


def forget() -> None:
    """Frees what the last loop has built, before another one."""
    tf.keras.backend.clear_session()
