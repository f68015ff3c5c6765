"""Detection by a TensorFlow Lite model."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from app.export import tflite_file
from app.export.detections import Detections, best_first
from app.export.loading import refusal

DEFAULT_MEAN, DEFAULT_STD = [127.5], [127.5]
"""What upstream's mobile SSDs want, for a file that does not say: (pixel - mean) / std."""


class TFLiteModel:
    """The detector in a `.tflite` file, made by detbox or from upstream's `export_tflite_graph_tf2`."""

    form = "tflite"

    def __init__(self, path: Path):
        """Raises SettingsError if the file is no TensorFlow Lite model of a detector."""
        try:
            inside = tflite_file.read(path)
            with warnings.catch_warnings():
                # The class moves to another package in a later TensorFlow; the lock file holds this one.
                warnings.simplefilter("ignore")
                self._interpreter = tf.lite.Interpreter(str(path), num_threads=os.cpu_count())
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise refusal(path, f"does not load: {str(error).splitlines()[0]}") from None
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4 or len(inside.outputs) != 4:
            raise refusal(path, "is no detector: one picture in, TFLite_Detection_PostProcess at its end")
        (self._input,), self._outputs = inputs, inside.outputs
        self._mean = np.array(inside.note.get("mean", DEFAULT_MEAN), np.float32)
        self._std = np.array(inside.note.get("std", DEFAULT_STD), np.float32)
        self._method = inside.note.get("resize", "bilinear")

    def detect(self, pictures: Sequence[np.ndarray]) -> list[Detections]:
        """As `Loaded.detect`: resized as the checkpoint's model does, then normalized, one picture at a time."""
        return [self._run(picture) for picture in pictures]

    def _run(self, picture: np.ndarray) -> Detections:
        size = self._input["shape"][1:3]
        resized = tf.compat.v1.image.resize(picture[None].astype(np.float32), size, self._method).numpy()
        self._interpreter.set_tensor(self._input["index"], self._quantized((resized - self._mean) / self._std))
        self._interpreter.invoke()
        found = {key: self._interpreter.get_tensor(index)[0] for key, index in self._outputs.items()}
        return best_first(
            found["detection_boxes"],
            found["detection_scores"],
            found["detection_classes"] + 1,
            int(found["num_detections"]),
        )

    def _quantized(self, values: np.ndarray) -> np.ndarray:
        """`values` as the input's number type; an integer is value / scale + zero point."""
        dtype = self._input["dtype"]
        if dtype == np.float32:
            return values.astype(np.float32)
        scale, zero = self._input["quantization"]
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values / scale + zero), limits.min, limits.max).astype(dtype)
