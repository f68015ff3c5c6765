"""What TensorBoard shows of an evaluation."""

from collections.abc import Callable, Mapping
from pathlib import Path

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from PIL import Image

from app.odapi.summaries import mark_restart, write_images, write_scalars


class EvalEvents:
    """One event file in `folder` for all evaluations of this process.

    `after`: the newest step that was evaluated to its end. What one that was cut short has left of later steps is
    written again, and TensorBoard drops it.
    """

    def __init__(self, folder: Path, after: int):
        self._writer = tf.summary.create_file_writer(str(folder))
        with self._writer.as_default():
            mark_restart(after)

    def write(
        self,
        step: int,
        scalars: Mapping[str, float],
        images: Mapping[str, Image.Image],
        may_write: Callable[[int], bool] = lambda size: True,
    ) -> None:
        """Writes scalars and, where `may_write` of their bytes, images by tag at `step`; sees that they are on disk."""
        with self._writer.as_default():
            write_scalars(step, scalars)
            for tag, image in images.items():
                write_images(tag, [image], step, may_write)
        self._writer.flush()
