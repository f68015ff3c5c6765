"""What a detector found on an image, whatever form the detector has."""

from dataclasses import dataclass
from typing import Any

import numpy as np

NEEDED = ("detection_boxes", "detection_scores", "detection_classes")
"""What the OD API calls the outputs that make detections; `num_detections` beside them is not always there."""


@dataclass(frozen=True)
class Detections:
    """What was found on one image, best score first.

    `boxes`: float32 [n, 4], normalized `ymin, xmin, ymax, xmax`; `scores`: float32 [n];
    `classes`: int [n], from 1.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def best_first(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, count: int | None = None) -> Detections:
    """The `Detections` of a model's output for one image: the first `count` (None: all), sorted by score.

    `boxes`: [n, 4], clipped to the image here; `scores`: [n]; `classes`: [n] of any number type, from 1.
    """
    boxes, scores, classes = (np.asarray(part)[:count] for part in (boxes, scores, classes))
    order = np.argsort(-scores, kind="stable")
    return Detections(
        np.clip(boxes[order].astype(np.float32), 0.0, 1.0),
        scores[order].astype(np.float32),
        np.rint(classes[order]).astype(int),
    )


def of_batch(found: dict[str, np.ndarray]) -> list[Detections]:
    """The detections of each image of a batch, from arrays under the OD API's names with the batch in front."""
    count = found.get("num_detections", np.full(len(found["detection_scores"]), found["detection_scores"].shape[1]))
    boxes, scores, classes = (found[key] for key in NEEDED)
    return [
        best_first(boxes[row], scores[row], classes[row], int(number))
        for row, number in enumerate(np.reshape(count, [-1]))
    ]


def tensor(spec: Any) -> dict[str, Any]:
    """`shape` and `dtype` of a tensor or its TensorSpec, for a card."""
    return {"shape": None if spec.shape.rank is None else spec.shape.as_list(), "dtype": spec.dtype.name}
