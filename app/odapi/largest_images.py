"""Training input made as large as it can come: each image of the resizer's largest size, with the most boxes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection.core.standard_fields import InputDataFields as Fields

from app.odapi.exchange import batches_mapped
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig

SIDES = {Fields.image: 1, Fields.groundtruth_instance_masks: 2}
"""What is as large as the image, and which of its dimensions is the height."""


class LargestImages:
    """`passing_by` has the input of upstream's loop made as large as images of `config` get, with `boxes` on each."""

    def __init__(self, config: PipelineConfig, boxes: int):
        self._size, self._boxes = largest_size(config), boxes

    @contextmanager
    def passing_by(self) -> Iterator[None]:
        """Within it, training input that is made is of the largest."""
        with batches_mapped(self.enlarge):
            yield

    def enlarge(self, features: Any, labels: Any) -> tuple[Any, Any]:
        """A batch with its images and masks padded, and boxes repeated."""
        features, labels = self._repeat(features), self._repeat(labels)
        for held in (features, labels):
            for key, dimension in SIDES.items():
                if key in held and self._size and None in held[key].shape[dimension : dimension + 2]:
                    held[key] = _pad(held[key], self._size, dimension)
        if self._size and Fields.true_image_shape in features:
            shape = tf.constant([*self._size, features[Fields.image].shape[-1]], tf.int32)
            features[Fields.true_image_shape] = tf.zeros_like(features[Fields.true_image_shape]) + shape
        return features, labels

    def _repeat(self, held: Any) -> Any:
        """With the boxes of each image, and all that belongs to them, repeated until there are `boxes`."""
        held = dict(held)
        counts, boxes = held.get(Fields.num_groundtruth_boxes), held.get(Fields.groundtruth_boxes)
        if counts is None or boxes is None or not (room := boxes.shape[1]):
            return held
        most = min(self._boxes, room)
        places = tf.range(room)[tf.newaxis] % tf.maximum(tf.cast(counts, tf.int32), 1)[:, tf.newaxis]
        for key, value in held.items():
            if key.startswith("groundtruth") and value.shape.rank and value.shape.rank > 1 and value.shape[1] == room:
                held[key] = tf.gather(value, places, batch_dims=1)
        held[Fields.num_groundtruth_boxes] = tf.zeros_like(counts) + most
        return held


def largest_size(config: PipelineConfig) -> tuple[int, int] | None:
    """Height and width of the largest image that the resizer gives; None where it has no bound."""
    resizer = architecture.body(config).image_resizer
    kept = resizer.keep_aspect_ratio_resizer
    if resizer.HasField("keep_aspect_ratio_resizer") and not kept.pad_to_max_dimension:
        return kept.min_dimension, kept.max_dimension
    return architecture.image_size(config)


def _pad(images: Any, size: tuple[int, int], dimension: int) -> Any:
    """With both sides, from `dimension` on, cut and padded to `size`."""
    cut: list[Any] = [slice(None)] * dimension + [slice(side) for side in size]
    images = images[tuple(cut)]
    shape = tf.shape(images)
    missing = [
        [0, 0] if not 0 <= i - dimension < 2 else [0, size[i - dimension] - shape[i]] for i in range(images.shape.rank)
    ]
    wide = tf.pad(images, missing)
    static = images.shape.as_list()
    static[dimension : dimension + 2] = size
    return tf.ensure_shape(wide, static)
