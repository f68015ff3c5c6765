"""A checkpoint becomes a SavedModel, by upstream's exporter."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection import exporter_lib_v2
from object_detection.utils import config_util


@dataclass(frozen=True)
class Difference:
    """How far the detections of an export are from the checkpoint's on one picture.

    `score`: the largest difference of scores. `pixels`: the largest of box corners, among detections of a score of
    0.1 and more. `same_classes`: whether these have the same classes in the same order.
    """

    score: float
    pixels: float
    same_classes: bool


def saved_model(pipeline_config: Path, checkpoint_folder: Path, folder: Path, input_type: str) -> None:
    """Writes `saved_model/`, `checkpoint/` and `pipeline.config`, the zoo's layout, into `folder`.

    `input_type`: image_tensor (uint8), float_image_tensor, encoded_image_string_tensor or tf_example. The folder
    `checkpoint_folder` names its checkpoint in a file `checkpoint`. Raises AssertionError where weights are missing.
    """
    configs = config_util.get_configs_from_pipeline_file(str(pipeline_config))
    exporter_lib_v2.export_inference_graph(
        input_type,
        config_util.create_pipeline_proto_from_configs(configs),
        str(checkpoint_folder),
        str(folder),
    )


def difference(folder: Path, picture: np.ndarray, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray):
    """The `Difference` of the `image_tensor` or `float_image_tensor` SavedModel in `folder` to given detections.

    `picture`: uint8, height x width x 3; `boxes`: float32 [n, 4], normalized `ymin, xmin, ymax, xmax`; `scores`:
    float32 [n]; `classes`: int [n], from 1; best score first.
    """
    detect = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    (spec,) = detect.structured_input_signature[1].values()
    found = detect(**{spec.name: tf.constant(picture[None], spec.dtype)})
    count = len(scores)
    theirs = {key: found[f"detection_{key}"][0].numpy()[:count] for key in ("boxes", "scores", "classes")}
    sure = scores >= 0.1
    corners = np.abs(theirs["boxes"] - boxes)[sure] * np.array([*picture.shape[:2], *picture.shape[:2]])
    return Difference(
        score=float(np.abs(theirs["scores"] - scores).max(initial=0)),
        pixels=float(corners.max(initial=0)),
        same_classes=bool(np.array_equal(theirs["classes"].astype(int)[sure], classes[sure])),
    )
