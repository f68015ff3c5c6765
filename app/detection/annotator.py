"""The detections of an image that reach the score of their class, listed and drawn."""

import numpy as np
from PIL import Image

from app import drawing
from app.detection import results
from app.detection.detections import Detections
from app.detection.resolver import ResolvedDetector


class Annotator:
    """Draws what a detector found; `thresholds` has the score that each class needed, by class id."""

    def __init__(self, resolved: ResolvedDetector, threshold: float | None):
        """`threshold` None: the F1-optimal score of each class."""
        self.thresholds: dict[int, float] = {}
        self._resolved, self._given = resolved, threshold

    def annotate(
        self, pixels: np.ndarray, detections: Detections, *, enlarge: bool = True
    ) -> tuple[tuple[results.Found, ...], Image.Image]:
        """What counts of `detections`, and `pixels` (uint8, height x width x 3) with it drawn; see `drawing.draw`."""
        height, width = pixels.shape[:2]
        found, shown = [], []
        for box, score, label in zip(detections.boxes, detections.scores, detections.classes, strict=True):
            number = int(label)
            if score < self._threshold(number):
                continue
            found.append(results.Found(number, round(float(score), 4), results.in_pixels(box, width, height)))
            shown.append(drawing.Labelled(tuple(box), number, f"{self._resolved.name(number)} {score:.0%}"))
        return tuple(found), drawing.draw(pixels, shown, enlarge=enlarge)

    def _threshold(self, class_id: int) -> float:
        if class_id not in self.thresholds:
            self.thresholds[class_id] = self._resolved.threshold(class_id, self._given)
        return self.thresholds[class_id]
