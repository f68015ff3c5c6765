"""The lines of YOLO's text files: boxes, outlines, oriented boxes or keypoints, told apart over the whole set."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from app.dataset import masks
from app.dataset.annotation import Box, Point
from app.dataset.shapes import box_around

BOX = 5
"""Columns of a box: class, centre x and y, width, height, in fractions of the image."""
POSES_BY_CHANCE = 0.5, 0.9
"""Part of a set's lines that may by chance look like a box with keypoints in it where they are outlines: of any, and of
such that look like outlines too (OUTLINES_LEAST of them), whose second point lies near the others."""
OUTLINES_LEAST = 0.8
OUTLINE_COUNTS = 3
"""Different numbers of columns from which lines are outlines: all keypoints of a set are of one number."""
_SLACK = 0.1
"""Of its sides, how far beyond a box a keypoint may lie."""


@dataclass(frozen=True)
class Layout:
    """What the columns after the first mean where there are more than a box has.

    `pose`: a box, then `keypoints` of `values` numbers each (2: x, y; 3: with visibility); `outline`: points x, y;
    `unclear`: it could be either, and data.yaml has no `kpt_shape`. `tracked`: each line ends with a score and a track.
    """

    kind: Literal["pose", "outline", "unclear"]
    keypoints: int = 0
    values: int = 2
    tracked: bool = False


def numbers_of(line: str) -> list[float] | None:
    """The numbers of a line that begins with a class and has at least a box's columns, else None."""
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return None
    return values if len(values) >= BOX and values[0] == values[0] // 1 >= 0 else None


@dataclass
class LayoutEvidence:
    """What the lines of a set tell of their layout. `example`: the first line that could be either."""

    columns: Counter[int] = field(default_factory=Counter)
    like_poses: int = 0
    like_outlines: int = 0
    with_visibility: int = 0
    visible: int = 0
    parallelograms: int = 0
    like_tracks: int = 0
    later_tracks: int = 0
    example: str = ""

    def add(self, values: list[float], where: str) -> None:
        """Takes in a line's numbers; `where` names it."""
        count = len(values)
        if count < 7 or not all(map(math.isfinite, values)):
            return
        if _is_track(values):
            self.like_tracks += 1
            self.later_tracks += values[-1] > 1
            if values[-1] > 1:
                return
        self.columns[count] += 1
        if _has_visibility(values):
            self.with_visibility += 1
            self.visible += any(values[BOX + 2 :: 3]) or not any(values[BOX:])
        self.parallelograms += _is_parallelogram(values)
        if count % 2:
            self.like_outlines += _is_outline(values)
            if _is_pose(values):
                self.like_poses += 1
                self.example = self.example or where

    def layout(self, kpt_shape: tuple[int, int] | None) -> Layout:
        """The layout of the set's lines; `kpt_shape` is data.yaml's, number of keypoints and of values each."""
        if kpt_shape:
            return Layout("pose", *kpt_shape)
        total = self.columns.total()
        if self.later_tracks and total + self.later_tracks == self.like_tracks:
            return Layout("outline", tracked=True)
        if self.visible and self.with_visibility == total and len(self.columns) == 1:
            return Layout("pose", (next(iter(self.columns)) - BOX) // 3, 3)
        if self.parallelograms > total / 2 or len(self.columns) >= OUTLINE_COUNTS:
            return Layout("outline")
        most = POSES_BY_CHANCE[self.like_outlines >= OUTLINES_LEAST * total]
        return Layout("outline" if self.like_poses <= most * total else "unclear")


def _is_track(values: list[float]) -> bool:
    """Whether a line of fractions may end with a score and a track from 1, as Ultralytics' tracker writes them."""
    *fractions, score, track = values[1:]
    is_number = track == track // 1 >= 1 and not _has_visibility(values)
    return len(values) % 2 == 1 and is_number and 0 <= score <= 1 and all(-_SLACK <= v <= 1 + _SLACK for v in fractions)


def _has_visibility(values: list[float]) -> bool:
    """Whether every third number after a box is 0, 1 or 2, as COCO's visibility is."""
    return (len(values) - BOX) % 3 == 0 and all(value in (0, 1, 2) for value in values[BOX + 2 :: 3])


def _is_pose(values: list[float]) -> bool:
    """Whether the numbers can be a box in the image and points x, y in it, those at 0, 0 left out."""
    x, y, width, height = values[1:BOX]
    reach_x, reach_y = width * (0.5 + _SLACK), height * (0.5 + _SLACK)
    in_image = min(x - width / 2, y - height / 2) >= -0.02 and max(x + width / 2, y + height / 2) <= 1.02
    points = zip(values[BOX::2], values[BOX + 1 :: 2], strict=True)
    return (
        min(width, height) > 0
        and in_image
        and all((u, v) == (0, 0) or (abs(u - x) <= reach_x and abs(v - y) <= reach_y) for u, v in points)
    )


def _is_outline(values: list[float]) -> bool:
    """Whether the second point, which would be a box's width and height, lies no farther from the others than they do
    from each other."""
    x, y = values[3:5]
    xmin, ymin, xmax, ymax = box_around(zip(values[1:3:2] + values[5::2], values[2:3] + values[6::2], strict=True))
    size = max(xmax - xmin, ymax - ymin)
    return xmin - size <= x <= xmax + size and ymin - size <= y <= ymax + size


def _is_parallelogram(values: list[float]) -> bool:
    """Whether the numbers are the corners of an oriented box in turn, perhaps with a score."""
    if len(values) not in (9, 10):
        return False
    xs, ys = values[1:9:2], values[2:9:2]
    size = max(max(xs) - min(xs), max(ys) - min(ys))
    off = max(abs(xs[0] - xs[1] + xs[2] - xs[3]), abs(ys[0] - ys[1] + ys[2] - ys[3]))
    return size > 0 and off <= 0.05 * size + 0.002


def box_of(label: str, values: list[float], layout: Layout, masked: bool) -> Box:
    """The box of a line's numbers, in fractions. Raises ValueError where they do not fit the layout.

    A sixth number after a box, or one more at the end, is the score or track of a prediction; two where `tracked`.
    """
    if layout.kind == "outline" and len(values) > BOX + 1 and _is_track(values) and (layout.tracked or values[-1] > 1):
        values = values[:-2]
    count = len(values)
    if count <= BOX + 1:
        return Box(label, *_corners(values))
    if layout.kind == "pose":
        columns = BOX + layout.keypoints * layout.values
        if not columns <= count <= columns + 2:
            raise ValueError(f"{count} columns, where {layout.keypoints} keypoints make {columns}")
        return Box(label, *_corners(values), keypoints=tuple(_points(values[BOX:columns], layout.values)))
    if layout.kind == "unclear":
        raise ValueError("an outline, or a box with keypoints")
    if count < 7:
        raise ValueError(f"{count} columns")
    outline = values[1 : count - (count + 1) % 2]
    mask = masks.of_outlines([outline]) if masked and all(map(math.isfinite, outline)) else None
    return Box(label, *box_around(zip(outline[0::2], outline[1::2], strict=True)), mask=mask)


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    x, y, width, height = values[1:BOX]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _points(values: list[float], each: int) -> Iterable[Point]:
    for start in range(0, len(values), each):
        x, y = values[start : start + 2]
        seen = values[start + 2] if each == 3 else 2 * ((x, y) != (0, 0))
        yield x, y, min(max(int(seen), 0), 2) if math.isfinite(seen) else 0
