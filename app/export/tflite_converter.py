"""A detector's SavedModel becomes the bytes of a TensorFlow Lite model."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from app.export.formats import INT8


def convert(folder: Path, form: str, prepared: Iterable[np.ndarray] = ()) -> bytes:
    """The SavedModel in `folder` (of `Exporter.tflite_saved_model`) as a `.tflite` file's bytes.

    `form`: tflite (float32); tflite_dynamic (int8 weights, computed in float32 or int8 as the operator can);
    tflite_float16 (float16 weights); tflite_int8 (weights and activations, uint8 images in; the suppression stays
    in float32). `prepared`: for int8, float32 [1, height, width, 3] as the network sees images.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    # TFLite_Detection_PostProcess is one; every TensorFlow Lite runtime has it.
    converter.allow_custom_ops = True
    if form != "tflite":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if form == "tflite_float16":
        converter.target_spec.supported_types = [tf.float16]
    if form == INT8:
        converter.representative_dataset = lambda: ([image] for image in prepared)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    return converter.convert()
