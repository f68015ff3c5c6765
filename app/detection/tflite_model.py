"""Detection by a TensorFlow Lite model."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from app.detection import tflite_file
from app.detection.detections import Detections, best_first
from app.detection.refusal import refusal

THREADS = 1
"""With two, TFLite_Detection_PostProcess of TensorFlow 2.21 loses what its other threads found: whole classes."""
DEFAULT_MEAN, DEFAULT_STD = [127.5], [127.5]
"""What upstream's mobile SSDs want, for a file that does not say: (pixel - mean) / std."""


class TFLiteModel:
    """The detector in a `.tflite` file, made by detbox or from upstream's `export_tflite_graph_tf2`."""

    form = "tflite"

    def __init__(self, path: Path):
        """Raises SettingsError for a model that is no detector, and anything for what is none; see `loader.load`."""
        inside = tflite_file.read(path)
        with warnings.catch_warnings():
            # The class moves to another package in a later TensorFlow; the lock file holds this one.
            warnings.simplefilter("ignore")
            self._interpreter = tf.lite.Interpreter(str(path), num_threads=THREADS)
        self._interpreter.allocate_tensors()
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4 or len(inside.outputs) != 4:
            raise refusal(path, "is no detector: one image in, TFLite_Detection_PostProcess at its end")
        (self._input,), self._outputs = inputs, inside.outputs
        self._mean = np.array(inside.note.get("mean", DEFAULT_MEAN), np.float32)
        self._std = np.array(inside.note.get("std", DEFAULT_STD), np.float32)
        self._method = inside.note.get("method", "bilinear")
        self._keeps_aspect = inside.note.get("keeps_aspect", False)

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As `Loaded.detect`: resized as the checkpoint's model does, then normalized, one image at a time."""
        return [self._run(image) for image in images]

    def signature(self) -> dict[str, Any]:
        """As `LoadedExport.signature`; `quantization` is scale and zero point, where there are any."""
        details = {detail["index"]: detail for detail in self._interpreter.get_output_details()}
        return {
            "inputs": {self._input["name"]: _tensor(self._input)},
            "outputs": {name: _tensor(details[index]) for name, index in self._outputs.items()},
        }

    def _run(self, image: np.ndarray) -> Detections:
        prepared, part = self._prepared(image)
        self._interpreter.set_tensor(self._input["index"], self._quantized(prepared))
        self._interpreter.invoke()
        found = {key: self._interpreter.get_tensor(index)[0] for key, index in self._outputs.items()}
        count = int(found["num_detections"])
        boxes = np.clip(found["detection_boxes"][:count] / np.tile(part, 2), 0.0, 1.0)
        # The checkpoint's suppression drops what lies off the image; this one knows no image.
        inside = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
        return best_first(
            boxes[inside], found["detection_scores"][:count][inside], found["detection_classes"][:count][inside] + 1
        )

    def _prepared(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the network sees, [1, height, width, 3], and the part of its height and width that is image.

        The resizing is object_detection/core/preprocessor.py's, by the same function of TensorFlow 1.
        """
        height, width = (int(side) for side in self._input["shape"][1:3])
        normalized = (image.astype(np.float32) - self._mean) / self._std
        resized = tf.compat.v1.image.resize(
            normalized, [height, width], self._method, preserve_aspect_ratio=self._keeps_aspect
        ).numpy()
        seen = np.array(resized.shape[:2])
        padded = np.pad(resized, [(0, height - seen[0]), (0, width - seen[1]), (0, 0)])
        return padded[None], seen / (height, width)

    def _quantized(self, values: np.ndarray) -> np.ndarray:
        """`values` as the input's number type; an integer is value / scale + zero point."""
        dtype = self._input["dtype"]
        if dtype == np.float32:
            return values.astype(np.float32)
        scale, zero = self._input["quantization"]
        limits = np.iinfo(dtype)
        return np.clip(np.rint(values / scale + zero), limits.min, limits.max).astype(dtype)


def _tensor(detail: dict[str, Any]) -> dict[str, Any]:
    scale, zero = detail["quantization"]
    found = {"shape": [int(size) for size in detail["shape"]], "dtype": np.dtype(detail["dtype"]).name}
    return found | ({"quantization": [float(scale), int(zero)]} if scale else {})
