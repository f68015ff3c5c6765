"""What TensorBoard shows of an evaluation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from PIL import Image


class EvalEvents:
    """One event file in `folder` for all evaluations of this process."""

    def __init__(self, folder: Path):
        self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, Image.Image]) -> None:
        """Writes scalars and pictures by tag at `step`, and sees that they are on disk."""
        with self._writer.as_default():
            for tag, value in scalars.items():
                tf.summary.scalar(tag, value, step=step)
            for tag, picture in pictures.items():
                tf.summary.image(tag, np.asarray(picture.convert("RGB"))[None], step=step, max_outputs=1)
        self._writer.flush()
