"""Matches detections with groundtruth boxes by COCO's rule at one IoU.

The rule is that of pycocotools' `COCOeval.evaluateImg`: detections of a class in the order of their scores, each takes
the free groundtruth box of its class that it overlaps most, if the overlap reaches the IoU. A crowd is never counted,
and neither is a detection that lies on one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MOST_DETECTIONS = 100
"""Of a class on an image that count, the best scores first: COCO's `maxDets`."""
FREE, ON_CROWD = -1, -2


@dataclass(frozen=True)
class EvaluatedImage:
    """The groundtruth and the detections of an image.

    Boxes: float32 [n, 4], `ymin, xmin, ymax, xmax` in pixels; classes: int [n], ids from 1; `crowd`: bool [n];
    `scores`: float32 [n]. `key` orders the images where scores are equal.
    """

    name: str
    key: int
    truth_boxes: np.ndarray
    truth_classes: np.ndarray
    crowd: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class ClassMatches:
    """The detections of a class on an image that count, best score first, and what each matched.

    `found`, `truth`: int [n], [m], where they are among the image's detections and groundtruth boxes;
    `hits`: int [n], the index in the image's groundtruth that each matched, or FREE or ON_CROWD.
    """

    found: np.ndarray
    truth: np.ndarray
    hits: np.ndarray


def sides(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners (x, y) and sizes (width, height) of boxes as float64, the sizes rounded to float32 as upstream does."""
    corners = np.stack([boxes[:, 1], boxes[:, 0]], axis=1)
    sizes = np.stack([boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]], axis=1)
    return corners.astype(np.float64), sizes.astype(np.float64)


def iou_matrix(boxes: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """IoU, float64 [n, m], of float32 `boxes` [n, 4] with `truth` [m, 4]; with a crowd, the part of the box on it."""
    (corner, size), (truth_corner, truth_size) = sides(boxes), sides(truth)
    ends = np.minimum((corner + size)[:, None], (truth_corner + truth_size)[None])
    common = np.clip(ends - np.maximum(corner[:, None], truth_corner[None]), 0, None).prod(axis=2)
    area = size.prod(axis=1)[:, None]
    union = np.where(crowd[None], area, area + truth_size.prod(axis=1)[None] - common)
    return np.divide(common, union, out=np.zeros_like(common), where=common > 0)


def match_detections(image: EvaluatedImage, class_id: int, iou: float) -> ClassMatches:
    """Matches the detections of a class on an image with its groundtruth boxes, from `iou` on."""
    found = np.flatnonzero(image.classes == class_id)
    found = found[np.argsort(-image.scores[found], kind="stable")][:MOST_DETECTIONS]
    truth = np.flatnonzero(image.truth_classes == class_id)
    hits = np.full(len(found), FREE)
    if len(found) and len(truth):
        crowd = image.crowd[truth]
        ious = iou_matrix(image.boxes[found], image.truth_boxes[truth], crowd)
        ious[ious < min(iou, 1 - 1e-10)] = -1.0
        _greedy(ious, crowd, truth, hits)
    return ClassMatches(found, truth[~image.crowd[truth]], hits)


def _greedy(ious: np.ndarray, crowd: np.ndarray, truth: np.ndarray, hits: np.ndarray) -> None:
    """Fills `hits`: row by row the largest value left, the last of equal ones, a crowd where nothing else is."""
    ious = ious.copy()
    for row in np.flatnonzero((ious >= 0).any(axis=1)):
        single = np.where(crowd, -1.0, ious[row])
        best = len(single) - 1 - int(np.argmax(single[::-1]))
        if single[best] >= 0:
            hits[row] = truth[best]
            ious[:, best] = -1.0
        elif (ious[row] >= 0).any():
            hits[row] = ON_CROWD


@dataclass(frozen=True)
class Errors:
    """The confusion matrix of one image.

    `matrix`: int [n + 1, n + 1], rows groundtruth, columns detections; the last row is false positives, the last
    column false negatives.
    """

    matrix: np.ndarray

    @property
    def true_positives(self) -> int:
        return int(np.trace(self.matrix))

    @property
    def false_negatives(self) -> int:
        return int(self.matrix[:, -1].sum())

    @property
    def false_positives(self) -> int:
        return int(self.matrix[-1].sum())

    @property
    def misclassified(self) -> int:
        """Groundtruth boxes that were detected as another class."""
        return int(self.matrix.sum()) - self.true_positives - self.false_negatives - self.false_positives


def count_errors(
    image: EvaluatedImage, matches: Mapping[int, ClassMatches], thresholds: Mapping[int, float], iou: float
) -> Errors:
    """The image's errors, counting detections from the `thresholds` of their classes (ids) on.

    `matches` are those of `match_detections` at `iou` for each class id. A detection is first matched with groundtruth
    of its own class; what is left of both is then matched across classes, which are the misclassified boxes.
    """
    index = {class_id: number for number, class_id in enumerate(matches)}
    size = len(index)
    matrix = np.zeros((size + 1, size + 1), int)
    spare: list[int] = []
    free: list[int] = []
    for class_id, matched in matches.items():
        counted = image.scores[matched.found].astype(np.float64) >= thresholds[class_id]
        hits = matched.hits[counted]
        right = set(hits[hits >= 0].tolist())
        matrix[index[class_id], index[class_id]] += len(right)
        spare += matched.found[counted][hits == FREE].tolist()
        free += [number for number in matched.truth.tolist() if number not in right]
    for found, truth in _across(image, np.array(spare, int), np.array(free, int), iou):
        column = index[int(image.classes[found])] if found is not None else size
        row = index[int(image.truth_classes[truth])] if truth is not None else size
        matrix[row, column] += 1
    return Errors(matrix)


def _across(
    image: EvaluatedImage, spare: np.ndarray, free: np.ndarray, iou: float
) -> list[tuple[int | None, int | None]]:
    """Pairs (detection, groundtruth) of what no class matched within itself; None where one has no partner."""
    spare = spare[np.argsort(-image.scores[spare], kind="stable")]
    hits = np.full(len(spare), FREE)
    if len(spare) and len(free):
        nobody = np.zeros(len(free), bool)
        ious = iou_matrix(image.boxes[spare], image.truth_boxes[free], nobody)
        ious[ious < iou] = -1.0
        _greedy(ious, nobody, free, hits)
    taken = set(hits[hits >= 0].tolist())
    pairs = [(int(found), int(hit) if hit >= 0 else None) for found, hit in zip(spare, hits, strict=True)]
    return pairs + [(None, int(truth)) for truth in free if int(truth) not in taken]
