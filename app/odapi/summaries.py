"""Scalars and images to the summary writer of the moment."""

from collections.abc import Callable, Mapping, Sequence

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from PIL import Image
from tensorboard.plugins.image import metadata

from app.events.image_codec import encode_image


def write_scalars(step: int, scalars: Mapping[str, float]) -> None:
    """Writes {tag: number} at `step`."""
    with tf.summary.record_if(True):
        for tag, number in scalars.items():
            tf.summary.scalar(tag, number, step=step)


def write_images(
    tag: str, images: Sequence[Image.Image], step: int, may_write: Callable[[int], bool] = lambda size: True
) -> None:
    """Writes images of one size under one tag at `step`, if it may: it is asked with their bytes.

    As `tf.summary.image`, but encoded by us: that knows nothing but PNG.
    """
    encoded = [encode_image(image) for image in images]
    if may_write(sum(map(len, encoded))):
        about = metadata.create_summary_metadata(display_name=None, description=None, converted_to_tensor=True)
        with tf.summary.record_if(True):
            held = tf.constant([str(images[0].width), str(images[0].height), *encoded])
            tf.summary.write(tag, held, step=step, metadata=about)
