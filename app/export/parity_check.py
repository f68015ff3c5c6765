"""Whether an export finds what its checkpoint finds."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.dataset.records import Example
from app.detection.detections import Detections
from app.detection.loader import Loaded
from app.evaluation import coco
from app.evaluation.matching import EvaluatedImage
from app.export import parity

METRIC = "DetectionBoxes_Precision/mAP"
MAP_TOLERANCE = 0.02
"""Points of mAP, out of 1, that a model with coarser numbers may lose."""
COARSER = ("tflite_dynamic", "tflite_float16", "tflite_int8")
"""Forms whose single detections differ, where suppression chooses another of two near boxes: held to their mAP."""


@dataclass(frozen=True)
class ParityResult:
    """Whether a form passes, the figures for its card, and both as text."""

    passed: bool
    figures: dict[str, Any]
    summary: str


class ParityCheck:
    """Compares loaded exports with `detector`, the checkpoint, on `probes` (uint8, height x width x 3).

    `examples`: gives the held-out images with groundtruth, none where there are no records. `source`: what the
    probes are, as text. `names`: class ids to names.
    """

    def __init__(
        self,
        detector: Loaded,
        probes: Sequence[np.ndarray],
        examples: Callable[[], Iterable[Example]],
        source: str,
        names: Mapping[int, str],
    ):
        self._detector, self._probes, self._source, self._names = detector, probes, source, names
        self._examples, self._ours = examples, detector.detect(probes)
        self._map: tuple[float, int] | None = None

    def check(self, form: str, loaded: Loaded) -> ParityResult:
        """Whether `loaded`, which was written as `form`, finds what the checkpoint finds."""
        tolerance = parity.EXACT
        difference = parity.compare_detections(self._probes, self._ours, loaded.detect(self._probes), tolerance)
        figures = dataclasses.asdict(difference) | {"images": len(self._probes), "source": self._source}
        if form not in COARSER:
            figures["tolerance"] = dataclasses.asdict(tolerance)
            return ParityResult(
                difference.within(tolerance), figures, f"{difference} on {len(self._probes)} {self._source}"
            )
        ours, theirs, count = self._maps(loaded)
        if not count:
            summary = "mAP unmeasured: the run's records are not here"
            return ParityResult(True, figures | {"mAP": None}, summary)
        figures["mAP"] = {"checkpoint": ours, "export": theirs, "images": count, "tolerance": MAP_TOLERANCE}
        summary = f"mAP {theirs:.3f}, the checkpoint's {ours:.3f}, on {count} held-out images"
        return ParityResult(theirs >= ours - MAP_TOLERANCE, figures, summary)

    def _maps(self, loaded: Loaded) -> tuple[float, float, int]:
        """mAP of the checkpoint, of `loaded`, and the number of images; the checkpoint's is measured once."""
        if self._map is None:
            self._map = self._measured(self._detector)
        (ours, count), (theirs, _) = self._map, self._measured(loaded)
        return ours, theirs, count

    def _measured(self, detector: Loaded) -> tuple[float, int]:
        images = []
        for number, example in enumerate(self._examples()):
            pixels = example.pixels()
            (found,) = detector.detect([pixels])
            images.append(_image(number, example, pixels.shape[:2], found))
        return (coco.measure_coco(images, self._names).metrics[METRIC] if images else 0.0), len(images)


def _image(number: int, example: Example, size: tuple[int, ...], found: Detections) -> EvaluatedImage:
    """Both sorts of boxes in pixels of an image of `size` (height, width)."""
    scale = np.tile(size, 2)
    return EvaluatedImage(
        name=example.name,
        key=number,
        truth_boxes=(example.boxes * scale).astype(np.float32),
        truth_classes=example.class_ids,
        crowd=example.crowd,
        boxes=(found.boxes * scale).astype(np.float32),
        scores=found.scores,
        classes=found.classes,
    )
