"""What TensorBoard shows of an evaluation."""

import io
from collections.abc import Mapping
from pathlib import Path

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from PIL import Image
from tensorboard.plugins.image import metadata

FLAT_COLOURS = 2048
"""A drawing has fewer colours, and is smaller as PNG; a photograph has more, and is a tenth as JPEG."""


class EvalEvents:
    """One event file in `folder` for all evaluations of this process."""

    def __init__(self, folder: Path):
        self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, step: int, scalars: Mapping[str, float], images: Mapping[str, Image.Image]) -> None:
        """Writes scalars and images by tag at `step`, and sees that they are on disk."""
        with self._writer.as_default():
            for tag, value in scalars.items():
                tf.summary.scalar(tag, value, step=step)
            for tag, image in images.items():
                # What `tf.summary.image` writes, but encoded by us: it knows nothing but PNG.
                summary = tf.constant([str(image.width), str(image.height), _encoded(image)])
                about = metadata.create_summary_metadata(display_name=None, description=None, converted_to_tensor=True)
                tf.summary.write(tag, summary, step=step, metadata=about)
        self._writer.flush()


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    if image.getcolors(FLAT_COLOURS):
        image.save(buffer, "PNG", compress_level=6)
    else:
        image.convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
