"""Average precision by PASCAL's and Open Images' rules, computed another way than upstream does."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Scored:
    """Boxes [n, 4] and [m, 4] of an image. `ignored`: neither hit nor miss; `groups`: around several objects."""

    truth: np.ndarray
    truth_classes: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    ignored: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    groups: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self):
        none = np.zeros(len(self.truth), bool)
        self.ignored = self.ignored if len(self.ignored) else none
        self.groups = self.groups if len(self.groups) else none


def overlap(box, other) -> tuple[float, float]:
    """IoU, and the part of `box` that lies in `other`."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    common = float(np.prod(np.clip(sides, 0, None)))
    areas = [float(np.prod(each[2:] - each[:2])) for each in (box, other)]
    return common / (sum(areas) - common), common / areas[0]


def labelled(images: Sequence[Scored], number: int, group_weight: float) -> tuple[list[tuple[float, float]], float]:
    """`(score, 1 for a hit)` of each counted detection of a class, best first, and the number of its objects."""
    found = [(s, at, i) for at, image in enumerate(images) for i, s in enumerate(image.scores)]
    found = sorted((row for row in found if images[row[1]].classes[row[2]] == number), reverse=True)
    mine = [np.flatnonzero(image.truth_classes == number) for image in images]
    objects = sum(float(np.sum(~each.ignored[m] & ~each.groups[m])) for each, m in zip(images, mine, strict=True))
    objects += group_weight * sum(float(np.sum(each.groups[m])) for each, m in zip(images, mine, strict=True))
    taken, rows = set(), []
    for score, at, i in found:
        image, box = images[at], images[at].boxes[i]
        singles = [(overlap(box, image.truth[g])[0], -g) for g in mine[at] if not image.groups[g]]
        iou, best = max(singles, default=(0.0, 0))
        if iou >= 0.5 and image.ignored[-best]:
            continue
        if iou >= 0.5 and (at, -best) not in taken:
            taken.add((at, -best))
            rows.append((score, 1.0))
            continue
        groups = [(overlap(box, image.truth[g])[1], -g) for g in mine[at] if image.groups[g]]
        part, group = max(groups, default=(0.0, 0))
        if part < 0.5:
            rows.append((score, 0.0))
        elif group_weight and (at, "group", -group) not in taken:
            taken.add((at, "group", -group))
            rows.append((score, group_weight))
    return rows, objects


def average_precision(rows: Sequence[tuple[float, float]], objects: float, low=0.0, high=1.0, ties=0) -> float:
    """The area under the precision that is reached at a recall or beyond it, of what lies in [low, high].

    `ties`: among equal scores -1 puts hits first, 1 last, 0 leaves them as they come.
    """
    if not objects:
        return float("nan")
    hits, count, points = 0.0, 0.0, []
    for _, hit in sorted(rows, key=lambda row: (-row[0], ties * row[1])):
        hits, count = hits + hit, count + (hit or 1.0)
        points.append((hits / objects, hits / count))
    inside = [(recall, precision) for recall, precision in points if low <= recall <= high]
    area, before = 0.0, 0.0
    for at, (recall, _) in enumerate(inside):
        area += (recall - before) * max(precision for _, precision in inside[at:])
        before = recall
    return area


def measure(images: Sequence[Scored], numbers: Sequence[int], *, weight: float = 0.0, low=0.0, high=1.0, ties=0):
    """AP by class, their mean over classes with objects, and the AP of all detections together."""
    found = {number: labelled(images, number, weight) for number in numbers}
    each = {number: average_precision(*found[number], low, high, ties) for number in numbers}
    known = [value for value in each.values() if value == value]
    pooled = [row for rows, objects in found.values() if objects for row in rows]
    together = average_precision(pooled, sum(objects for _, objects in found.values()), low, high, ties)
    return each, float(np.mean(known)) if known else float("nan"), together
