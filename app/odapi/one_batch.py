"""One training batch and one evaluation batch of a pipeline.config on the CPU, in a process of its own.

`python -m app.odapi.one_batch PIPELINE_CONFIG REPORT PLAN` writes what it is at, and in the end what failed, to REPORT.
PLAN is the step's as JSON.
"""

import gc
import json
import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.odapi import runtime
from app.pipeline.step_plan import StepPlan
from app.pipeline.trial_report import Failure, Stage, TrialReport, write_report
from app.protos import pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.run.directory import Run

IMAGES = 8
"""Training images that are read and augmented: a step that acts on some images only shows on one of these."""
LARGEST_BATCH = 2
"""Images of a batch, where the config has as many: one alone does not show whether images can be stacked."""


class Trial:
    """A config that is tried stage by stage; `stage` is the one that has begun."""

    def __init__(self, path: Path, report: Path, plan: StepPlan):
        self._path, self._report, self._plan = path, report, plan
        self.stage = Stage.MODEL

    def run(self) -> None:
        """Every stage. Raises what upstream raises, and BatchError."""
        from app.odapi.evaluator import Evaluator
        from app.odapi.train_step import TrainStep

        config = pipeline_config.read_pipeline(self._path)
        shorten(config)
        parts = min(self._plan.parts, config.train_config.batch_size)
        with TrainStep(replace(self._plan, parts=parts)).in_place():
            checkpoint = self._train(config)
        self._begin(Stage.EVALUATION_INPUT)
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder))
            run.pipeline_config.write_text(pipeline_config.print_pipeline(config), encoding="utf-8")
            evaluator = Evaluator(run.pipeline_config)
            saved = checkpoint.write(str(run.checkpoint(1)))
            self._begin(Stage.EVALUATION)
            evaluator.evaluate(saved, batches=1)

    def _train(self, config: PipelineConfig) -> Any:
        """The stages up to the training step; what a checkpoint is made of."""
        import tensorflow as tf
        from object_detection.builders import model_builder, optimizer_builder

        from app.odapi import training_batch
        from app.odapi.train_step import CompiledStep

        self._begin(Stage.MODEL)
        model = model_builder.build(config.model, is_training=True)
        self._begin(Stage.OPTIMIZER)
        step = tf.Variable(0, trainable=False, dtype=tf.int64)
        optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=step)
        self._begin(Stage.TRAINING_INPUT)
        batches = IMAGES // config.train_config.batch_size
        features, labels = training_batch.read_training_batch(config, model, batches)
        self._begin(Stage.TRAINING)
        compiled = CompiledStep(config, model, optimizer, step)
        compiled(features, labels)
        return compiled.checkpoint()

    def _begin(self, stage: Stage) -> None:
        self.stage = stage
        write_report(self._report, TrialReport(stage))


def shorten(config: PipelineConfig) -> None:
    """Makes batches small and takes out what only costs time."""
    for message in (config.train_config, config.eval_config):
        message.batch_size = min(max(message.batch_size, 1), LARGEST_BATCH)
    config.train_input_reader.shuffle = False  # It would fill its buffer first.
    for reader in (config.train_input_reader, *config.eval_input_reader):
        reader.num_readers = reader.num_parallel_batches = reader.num_prefetch_batches = 1


def main(path: Path, report: Path, plan: StepPlan) -> None:
    """Tries the config in the file `path`; whatever ends it is in the file `report`."""
    tf = runtime.start(use_gpu=False, seed=0)
    gc.disable()  # A tenth of the time, and there is not much to collect.
    # A graph that runs once is not worth optimizing.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    trial, failure = Trial(path, report, plan), None
    try:
        trial.run()
    except Exception as error:
        traceback.print_exc()
        failure = failure_of(error)
    write_report(report, TrialReport(trial.stage, ended=True, failure=failure))


def failure_of(error: Exception) -> Failure:
    """What is reported of an error."""
    from app.odapi.training_batch import BatchError, describe

    if isinstance(error, BatchError):
        return Failure(str(error), where=error.where, of_records=not error.where)
    return Failure(describe(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), StepPlan(**json.loads(sys.argv[3])))
