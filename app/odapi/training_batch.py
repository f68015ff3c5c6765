"""Training batches of a pipeline.config, read to see whether a model can learn from them."""

import itertools
import re
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection import inputs
from object_detection.core.standard_fields import InputDataFields

from app.protos.pipeline_config import PipelineConfig

OPTIONS = "train_config.data_augmentation_options"
CHANNELS = 3
PLACE_IN_GRAPH = re.compile(r"\{\{function_node [^{}]*\}\}|\{\{node [^{}]*\}\}")
RECORDS = 1000
"""Records that are looked at for one that can't be read."""
LONGEST = 250
"""Characters of an error's message that are told."""
FARTHEST = 10.0
"""Sides of the image that a box may be away from it: crops that do not clip leave boxes outside, pixels are farther."""


class BatchError(ValueError):
    """What a field of the config makes of the training images, or that the records can't be read.

    `where`: the field, empty for the records.
    """

    def __init__(self, what: str, where: str):
        super().__init__(what)
        self.where = where


def read_training_batch(config: PipelineConfig, model: Any, batches: int) -> tuple[Any, Any]:
    """Features and labels of a batch: `batches` are read and looked at, the last is returned. Raises BatchError."""
    count = len(config.train_config.data_augmentation_options)
    try:
        return _read(config, model, batches, count)
    except Exception as error:
        raise _explain(config, model, batches, error) from error


def _explain(config: PipelineConfig, model: Any, batches: int, error: Exception) -> BatchError:
    """The error with the first step that it comes with, if it does not come without any."""
    steps = config.train_config.data_augmentation_options
    for number in range(len(steps) + 1):
        try:
            _read(config, model, batches, number)
        except Exception as found:
            if not number:
                return _without_steps(config, found)
            where = f"{OPTIONS}[{number - 1}] {steps[number - 1].WhichOneof('preprocessing_step')}"
            return BatchError(describe(found), where)
    return BatchError(describe(error), OPTIONS)


def _without_steps(config: PipelineConfig, error: Exception) -> BatchError:
    """Whose fault it is when training images can't be read even without augmentation: the records', or the reader's."""
    files = tf.io.gfile.glob(list(config.train_input_reader.tf_record_input_reader.input_path))
    try:
        for record in tf.data.TFRecordDataset(files).take(RECORDS):
            row = tf.io.parse_single_example(record, {"image/encoded": tf.io.FixedLenFeature([], tf.string)})
            tf.io.decode_image(row["image/encoded"])
    except tf.errors.OpError as found:
        return BatchError(describe(found), "")
    return BatchError(describe(error), "train_input_reader")


def _read(config: PipelineConfig, model: Any, batches: int, steps: int) -> tuple[Any, Any]:
    train = type(config.train_config)()
    train.CopyFrom(config.train_config)
    del train.data_augmentation_options[steps:]

    # All as `train_loop` has it: which Python control flow TensorFlow converts depends on the callers.
    @tf.autograph.experimental.do_not_convert
    def read_dataset(context: Any) -> Any:
        return inputs.train_input(
            train_config=train, train_input_config=config.train_input_reader, model_config=config.model, model=model,
            input_context=context,
        )  # fmt: skip

    dataset = tf.distribute.get_strategy().distribute_datasets_from_function(read_dataset)
    read = list(itertools.islice(dataset, batches))
    check_batches(read)
    return read[-1]


def check_batches(batches: Iterable[tuple[Any, Any]]) -> None:
    """Raises ValueError for images or boxes that no model can learn from."""
    for features, labels in batches:
        images = features[InputDataFields.image]
        if images.shape[-1] != CHANNELS:
            raise ValueError(f"images have {images.shape[-1]} channel, the model sees {CHANNELS} when it evaluates")
        if not np.isfinite(images.numpy()).all():
            raise ValueError("images have pixels that are no numbers")
        for boxes, count in zip(
            labels[InputDataFields.groundtruth_boxes].numpy(),
            labels[InputDataFields.num_groundtruth_boxes].numpy(),
            strict=True,
        ):
            farthest = np.abs(boxes[:count]).max(initial=0)
            if not farthest < FARTHEST:  # also true of NaN
                raise ValueError(f"boxes have coordinates up to {farthest:.0f}, where 1 is the image's side")


def describe(error: BaseException) -> str:
    """The error's class and the line of its message that says most, without the graph's names for its place."""
    text = PLACE_IN_GRAPH.sub("", str(error)).strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    # An error in a function that tf.data calls comes with its traceback, in a layer of Keras with the layer's name.
    at = -1 if lines[0].startswith("in user code") else int(lines[0].startswith("Exception encountered"))
    line = lines[min(at, len(lines) - 1)]
    name = type(error).__name__
    if type(error) is not ValueError and not line.startswith(name):
        line = f"{name}: {line}"
    return textwrap.shorten(line, LONGEST, placeholder=" ...")
