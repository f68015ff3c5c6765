"""How far the detections of an export are from its checkpoint's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.detection.detections import Detections

SURE, FEWEST = 0.1, 10
"""Compared are an image's detections from this score on, and its best so many where fewer are that sure."""
SAME_IOU = 0.5
"""Below it two boxes are different detections, however near their scores."""


@dataclass(frozen=True)
class Tolerance:
    """The largest differences that pass: of scores, and of box corners in pixels of the image."""

    score: float
    pixels: float


EXACT = Tolerance(1e-3, 1.0)
"""For forms that compute in float32, as the checkpoint does."""


@dataclass(frozen=True)
class Difference:
    """How far two lists of detections are apart, the largest figures over several images.

    `score`: of scores; `pixels`: of box corners, in pixels of the image. `compared`: detections looked at.
    `unmatched`: those of one side that the other side has no detection of the same class for.
    """

    score: float
    pixels: float
    compared: int
    unmatched: int

    def within(self, tolerance: Tolerance) -> bool:
        """Whether every detection has its like, as near as `tolerance`."""
        return not self.unmatched and self.score <= tolerance.score and self.pixels <= tolerance.pixels

    def __str__(self) -> str:
        text = f"scores within {self.score:.1e} and boxes within {self.pixels:.2f} pixels of the checkpoint's"
        return text + (f", {self.unmatched} of {self.compared} detections without their like" * bool(self.unmatched))


def compare_detections(
    images: Sequence[np.ndarray], ours: Sequence[Detections], theirs: Sequence[Detections], tolerance: Tolerance
) -> Difference:
    """The `Difference` of `theirs` from `ours` on `images` (uint8, height x width x 3).

    Detections are paired within their class, the nearest first, because equal scores may come in any order. What only
    one side is sure of counts where the other has nothing like it at all; so a score that crosses `SURE` by less than
    the tolerance does no harm.
    """
    parts = [_one(image.shape[:2], a, b, tolerance) for image, a, b in zip(images, ours, theirs, strict=True)]
    return Difference(
        score=max((part.score for part in parts), default=0.0),
        pixels=max((part.pixels for part in parts), default=0.0),
        compared=sum(part.compared for part in parts),
        unmatched=sum(part.unmatched for part in parts),
    )


def _one(size: tuple[int, int], ours: Detections, theirs: Detections, tolerance: Tolerance) -> Difference:
    scores = np.abs(ours.scores[:, None].astype(float) - theirs.scores[None])
    sides = np.array([*size, *size], float)
    pixels = (np.abs(ours.boxes[:, None].astype(float) - theirs.boxes[None]) * sides).max(axis=-1, initial=0.0)
    alike = (ours.classes[:, None] == theirs.classes[None]) & (
        (_iou(ours.boxes, theirs.boxes) >= SAME_IOU) | (pixels <= tolerance.pixels)
    )
    pairs = _pairs(np.maximum(scores / tolerance.score, pixels / tolerance.pixels), alike)
    mine, other = (_looked_at(side.scores) for side in (ours, theirs))
    counted = [(a, b) for a, b in pairs if a in mine or b in other]
    return Difference(
        score=max((float(scores[pair]) for pair in counted), default=0.0),
        pixels=max((float(pixels[pair]) for pair in counted), default=0.0),
        compared=len(mine),
        unmatched=len(mine - {a for a, _ in pairs}) + len(other - {b for _, b in pairs}),
    )


def _looked_at(scores: np.ndarray) -> set[int]:
    count = min(len(scores), max(FEWEST, int((scores >= SURE).sum())))
    return set(np.argsort(-scores, kind="stable")[:count].tolist())


def _pairs(cost: np.ndarray, allowed: np.ndarray) -> list[tuple[int, int]]:
    """Index pairs, each index at most once, the cheapest of those allowed first."""
    pairs, rows, columns = [], set(), set()
    for flat in np.argsort(np.where(allowed, cost, np.inf), axis=None, kind="stable")[: int(allowed.sum())]:
        row, column = (int(index) for index in np.unravel_index(flat, cost.shape))
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(np.clip(side[:, 2:] - side[:, :2], 0, None), axis=-1) for side in (a, b)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
