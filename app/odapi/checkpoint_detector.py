"""A trained detector, restored from a checkpoint, run on images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection.builders import model_builder
from object_detection.utils import config_util

from app.detection.batching import by_size
from app.detection.detections import Detections
from app.odapi.averaged_weights import load_averages


class CheckpointDetector:
    """The model of `pipeline_config` with the weights of `checkpoint` (a prefix)."""

    form = "checkpoint"

    def __init__(self, pipeline_config: Path, checkpoint: Path):
        configs = config_util.get_configs_from_pipeline_file(str(pipeline_config))
        self._model = model_builder.build(configs["model"], is_training=False)
        self._status = tf.train.Checkpoint(model=self._model).read(str(checkpoint)).expect_partial()
        one_image = [tf.TensorSpec([1, None, None, 3], tf.float32)]
        self._detect = tf.function(self._run, autograph=False, input_signature=one_image)
        self._averages_of = checkpoint if configs["eval_config"].use_moving_averages else None

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detections on each of `images` (uint8, height x width x 3, RGB). AssertionError if weights are missing."""
        return by_size(images, self._detect_one, whole_batches=False)

    def _detect_one(self, stack: np.ndarray) -> list[Detections]:
        if self._averages_of:
            self._detect.get_concrete_function()  # Builds the model, whose variables they are.
            load_averages(self._model, self._averages_of)
            self._averages_of = None
        found = self._detect(tf.constant(stack, tf.float32))
        self._status.assert_existing_objects_matched()
        count = int(found["num_detections"][0])
        return [
            Detections(
                found["detection_boxes"][0].numpy()[:count],
                found["detection_scores"][0].numpy()[:count],
                found["detection_classes"][0].numpy()[:count].astype(int) + 1,
            )
        ]

    def _run(self, images: Any) -> Any:
        prepared, shapes = self._model.preprocess(images)
        return self._model.postprocess(self._model.predict(prepared, shapes), shapes)
