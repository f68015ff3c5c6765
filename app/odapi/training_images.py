"""Images of a training step with their groundtruth, as the model sees them after augmentation."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection.core.standard_fields import InputDataFields as Fields
from PIL import Image

from app.drawing import Labelled, draw
from app.events.image_codec import shrink_to_shown
from app.odapi.exchange import batches_mapped
from app.odapi.summaries import write_images

TAG = "train_input_images"


class TrainingImages:
    """Looks at the batch of a step when it was asked to, outside of the step.

    `passing_by` has the input of upstream's loop pass by here. Nothing of a batch is copied, drawn or encoded but of
    one that `want` was called for.
    """

    def __init__(self, classes: Mapping[int, str], most: int):
        self._classes, self._most = classes, most
        with tf.device("CPU:0"):
            self._wanted = tf.Variable(False, trainable=False, name="training_images_wanted")
        self._batch: list[np.ndarray] | None = None
        self._model: Any = None
        self._range: tuple[np.ndarray, np.ndarray] | None = None

    @contextmanager
    def passing_by(self) -> Iterator[None]:
        """Within it, training input that is made passes its batches by here, unless no image is to be shown."""
        if not self._most:
            yield
            return
        with batches_mapped(self._pass_by, self._see_model):
            yield

    def _see_model(self, model: Any) -> None:
        self._model = model

    def want(self) -> None:
        """The batch of the next step will be asked for."""
        self._batch = None
        self._wanted.assign(True)

    def draw(self) -> list[Image.Image]:
        """The images of the batch that was wanted; none if it did not come by."""
        self._wanted.assign(False)
        if self._batch is None:
            return []
        images, boxes, classes, counts = self._batch
        low, high = self._pixel_range(images.shape[1:])
        pixels = np.clip((images - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
        return [self._draw(*one) for one in zip(pixels, boxes, classes.argmax(-1), counts.astype(int), strict=True)]

    def write(self, step: int, may_write: Callable[[int], bool] = lambda size: True) -> None:
        """Writes the images to the summary writer of the moment, if it may: it is asked with their bytes."""
        if images := self.draw():
            write_images(TAG, images, step, may_write)

    def _draw(self, pixels: np.ndarray, boxes: np.ndarray, classes: np.ndarray, count: int) -> Image.Image:
        items = [
            Labelled(tuple(box), int(number) + 1, self._classes.get(int(number) + 1, ""))
            for box, number in zip(boxes[:count], classes[:count], strict=True)
        ]
        # Boxes are drawn at the size at which they are shown, or their lines would shrink with the image.
        return draw(np.asarray(shrink_to_shown(Image.fromarray(pixels))), items, enlarge=False)

    def _pass_by(self, features: Any, labels: Any) -> Any:
        def keep() -> Any:
            seen = (
                features[Fields.image],
                labels[Fields.groundtruth_boxes],
                labels[Fields.groundtruth_classes],
                labels[Fields.num_groundtruth_boxes],
            )
            return tf.numpy_function(self._keep, [one[: self._most] for one in seen], tf.bool)

        done = tf.cond(self._wanted, keep, lambda: tf.constant(False))
        with tf.control_dependencies([done]):
            return {**features, Fields.image: tf.identity(features[Fields.image])}, labels

    def _keep(self, *seen: np.ndarray) -> np.bool_:
        self._batch = [np.array(one) for one in seen]
        return np.True_

    def _pixel_range(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """What black and white are to the model: every feature extractor shifts and scales the channels."""
        if self._range is None:
            ends = []
            for level in (0.0, 255.0):
                image, _ = self._model.preprocess(tf.fill([1, *shape], level))
                ends.append(image.numpy().reshape(-1, shape[-1])[0])
            self._range = ends[0], ends[1]
        return self._range
