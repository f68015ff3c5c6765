"""Scalars, images and restarts to the summary writer of the moment."""

import time
from collections.abc import Callable, Mapping, Sequence

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from PIL import Image
from tensorboard.plugins.image import metadata
from tensorflow.python.ops import summary_ops_v2

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


def mark_restart(step: int) -> None:
    """Writes, to the summary writer of the moment, that a service goes on after `step`.

    TensorBoard drops what it has read of steps from that of the event on, whichever file that is in. The first such
    event of a run is none of a restart to it, so there are two: earlier versions have written none
    (`_CheckForRestartAndMaybePurge` in tensorboard/backend/event_processing/plugin_event_accumulator.py).
    """
    start = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
    event = tf.compat.v1.Event(wall_time=time.time(), step=step + 1, session_log=start)
    for _ in range(2):
        summary_ops_v2.import_event(event.SerializeToString())
