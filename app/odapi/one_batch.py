"""One training batch and one evaluation batch of a pipeline.config on the CPU, in a process of its own.

`python -m app.odapi.one_batch PIPELINE_CONFIG REPORT` writes what it is at, and in the end what failed, to REPORT.
"""

import gc
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from app.odapi import runtime
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

    def __init__(self, path: Path, report: Path):
        self._path, self._report = path, report
        self.stage = Stage.MODEL

    def run(self) -> None:
        """Every stage. Raises what upstream raises, and BatchError."""
        import tensorflow as tf
        from object_detection.builders import model_builder, optimizer_builder

        from app.odapi import training_batch
        from app.odapi.evaluator import Evaluator

        config = pipeline_config.read_pipeline(self._path)
        shorten(config)
        self._begin(Stage.MODEL)
        model = model_builder.build(config.model, is_training=True)
        self._begin(Stage.OPTIMIZER)
        step = tf.Variable(0, trainable=False, dtype=tf.int64)
        optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=step)
        self._begin(Stage.TRAINING_INPUT)
        batches = IMAGES // config.train_config.batch_size
        features, labels = training_batch.read_training_batch(config, model, batches)
        self._begin(Stage.TRAINING)
        train(config, model, optimizer, step, features, labels)
        self._begin(Stage.EVALUATION_INPUT)
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder))
            run.pipeline_config.write_text(pipeline_config.print_pipeline(config), encoding="utf-8")
            evaluator = Evaluator(run.pipeline_config)
            saved = tf.train.Checkpoint(step=step, model=model, optimizer=optimizer).write(str(run.checkpoint(1)))
            self._begin(Stage.EVALUATION)
            evaluator.evaluate(saved, batches=1)

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


def train(config: PipelineConfig, model: Any, optimizer: Any, step: Any, features: Any, labels: Any) -> None:
    """One step on a batch, as `train_loop` makes it."""
    import tensorflow as tf
    from object_detection import model_lib_v2

    settings = config.train_config
    if settings.optimizer.use_moving_average:
        dataset = tf.data.Dataset.from_tensors((features, labels))
        model_lib_v2._ensure_model_is_built(model, dataset, settings.unpad_groundtruth_tensors)
        optimizer.shadow_copy(model)

    def train_step(features: Any, labels: Any) -> Any:
        return model_lib_v2.eager_train_step(
            model, features, labels, settings.unpad_groundtruth_tensors, optimizer, step,
            add_regularization_loss=settings.add_regularization_loss,
            clip_gradients_value=settings.gradient_clipping_by_norm or None,
        )  # fmt: skip

    tf.function(train_step, autograph=False)(features, labels)


def main(path: Path, report: Path) -> None:
    """Tries the config in the file `path`; whatever ends it is in the file `report`."""
    tf = runtime.start(use_gpu=False, seed=0)
    gc.disable()  # A tenth of the time, and there is not much to collect.
    # A graph that runs once is not worth optimizing.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    trial, failure = Trial(path, report), None
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
    main(Path(sys.argv[1]), Path(sys.argv[2]))
