"""COCO's precision and recall of a set of images, under upstream's names."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.evaluation.matching import EvaluatedImage, sides

log = logging.getLogger(__name__)

# The order of COCOeval's `stats`; object_detection/metrics/coco_tools.py, COCO_METRIC_NAMES_AND_INDEX.
NAMES = (
    "DetectionBoxes_Precision/mAP",
    "DetectionBoxes_Precision/mAP@.50IOU",
    "DetectionBoxes_Precision/mAP@.75IOU",
    "DetectionBoxes_Precision/mAP (small)",
    "DetectionBoxes_Precision/mAP (medium)",
    "DetectionBoxes_Precision/mAP (large)",
    "DetectionBoxes_Recall/AR@1",
    "DetectionBoxes_Recall/AR@10",
    "DetectionBoxes_Recall/AR@100",
    "DetectionBoxes_Recall/AR@100 (small)",
    "DetectionBoxes_Recall/AR@100 (medium)",
    "DetectionBoxes_Recall/AR@100 (large)",
)
PER_CLASS = "DetectionBoxes_PerformanceByCategory/mAP/"
ALL_AREAS, MOST = 0, -1
"""Where COCOeval's arrays have boxes of any size, and the largest number of detections."""


@dataclass(frozen=True)
class ClassMetrics:
    """Average precision over IoU 0.50 to 0.95 and at 0.50, average recall at 100; None without groundtruth."""

    ap: float | None
    ap50: float | None
    ar: float | None


@dataclass(frozen=True)
class CocoMetrics:
    """`metrics` by upstream's names, -1 where COCO has nothing to measure; `classes` by id."""

    metrics: dict[str, float]
    classes: dict[int, ClassMetrics]


def measure_coco(images: Sequence[EvaluatedImage], classes: Mapping[int, str]) -> CocoMetrics:
    """The figures of `images` for `classes` (id to name), equal to those of upstream's CocoDetectionEvaluator."""
    from faster_coco_eval import COCO, COCOeval_faster

    ordered = sorted(images, key=lambda image: image.key)
    truth = COCO(
        {
            "images": [{"id": number} for number in range(1, len(ordered) + 1)],
            "categories": [{"id": class_id, "name": name} for class_id, name in classes.items()],
            "annotations": _truth(ordered, classes),
        }
    )
    evaluator = COCOeval_faster(truth, truth.loadRes(_found(ordered, classes)), "bbox", print_function=log.debug)
    evaluator.run()
    metrics = dict(zip(NAMES, map(float, evaluator.stats[: len(NAMES)]), strict=True))
    # [IoU, recall, class, area, detections] and [IoU, class, area, detections]; -1 where there is no groundtruth.
    precision = evaluator.eval["precision"][:, :, :, ALL_AREAS, MOST]
    recall = evaluator.eval["recall"][:, :, ALL_AREAS, MOST]
    figures = {
        class_id: ClassMetrics(_mean(precision[:, :, at]), _mean(precision[0, :, at]), _mean(recall[:, at]))
        for at, class_id in enumerate(evaluator.params.catIds)
    }
    known = {PER_CLASS + classes[class_id]: found.ap for class_id, found in figures.items() if found.ap is not None}
    return CocoMetrics(metrics | known, figures)


def _mean(values: np.ndarray) -> float | None:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else None


def _truth(images: Sequence[EvaluatedImage], classes: Mapping[int, str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, image in enumerate(images, 1):
        corners, sizes = sides(image.truth_boxes)
        areas = _areas(image.truth_boxes)
        for at, class_id in enumerate(image.truth_classes.tolist()):
            if class_id in classes:
                rows.append(
                    {
                        "id": len(rows) + 1,
                        "image_id": number,
                        "category_id": class_id,
                        "bbox": [*corners[at].tolist(), *sizes[at].tolist()],
                        "area": areas[at],
                        "iscrowd": int(image.crowd[at]),
                    }
                )
    return rows


def _areas(boxes: np.ndarray) -> list[float]:
    """Upstream multiplies the sides as float32, and a box at the edge between small and medium can tell."""
    return ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).astype(np.float64).tolist()


def _found(images: Sequence[EvaluatedImage], classes: Mapping[int, str]) -> list[dict[str, Any]]:
    rows = []
    for number, image in enumerate(images, 1):
        corners, sizes = sides(image.boxes)
        boxes = np.concatenate([corners, sizes], axis=1).tolist()
        scores, ids = image.scores.astype(np.float64).tolist(), image.classes.tolist()
        rows += [
            {"image_id": number, "category_id": class_id, "bbox": box, "score": score}
            for box, score, class_id in zip(boxes, scores, ids, strict=True)
            if class_id in classes
        ]
    return rows
