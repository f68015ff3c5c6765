"""Boxes brought into the frame of the stored image, fixed where they can be."""

import dataclasses
import math
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage, Box, Point
from app.dataset.faults import FIXED, Fault

ASPECT_TOLERANCE = 0.01
"""Sides whose ratios differ by less are those of one image, resized."""
EDGE_TOLERANCE = 1.0
"""Pixels beyond the edge that are clipped without a word: VOC counts from 1, and tools round."""

THINNEST = 0.01
"""Pixels of a box's shorter side below which it is as good as empty (and would be, in float32)."""

Number = TypeVar("Number", float, np.ndarray)


def check_box(box: Box, where: str) -> Iterator[Box | Fault]:
    """The box with its corners in order, and what was wrong; without the box where nothing can be saved."""
    corners = (box.xmin, box.ymin, box.xmax, box.ymax)
    if math.isfinite(sum(corners)) and box.xmin < box.xmax and box.ymin < box.ymax:
        yield box
        return
    detail = f"{box.label} {' '.join(f'{value:g}' for value in corners)}"
    if not all(math.isfinite(value) for value in corners):
        yield Fault(faults.BOX_UNREADABLE, where, detail)
        return
    if box.xmin > box.xmax or box.ymin > box.ymax:
        yield Fault(faults.BOX_SWAPPED, where, detail, FIXED)
        (xmin, xmax), (ymin, ymax) = sorted((box.xmin, box.xmax)), sorted((box.ymin, box.ymax))
        box = dataclasses.replace(box, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax)
    if box.xmin == box.xmax or box.ymin == box.ymax:
        yield Fault(faults.BOX_EMPTY, where, detail)
        return
    yield box


def frame(image: AnnotatedImage, raw: tuple[int, int], orientation: int) -> tuple[float, float, bool, list[Fault]]:
    """The frame of the image's boxes: its width and height, whether they turn with the image, and faults.

    `raw` is (width, height) as stored in the file, before the EXIF `orientation` (1 to 8). Where the
    annotation states the size that viewers show, or none, the boxes are in that; where it states the
    unrotated one, in that.
    """
    view = raw[::-1] if orientation >= 5 else raw
    said = (image.width, image.height)
    if image.fractions:
        return 1.0, 1.0, said == raw and said != view, []
    if _in_fractions(image):
        found = Fault(faults.BOX_IN_FRACTIONS, image.name, f"{len(image.boxes)} boxes", FIXED)
        return 1.0, 1.0, said == raw and said != view, [found]
    if not all(said) or said == view:
        return float(view[0]), float(view[1]), False, []
    if said == raw:
        return float(raw[0]), float(raw[1]), True, []
    detail = f"{said[0]}x{said[1]} said, {view[0]}x{view[1]} found"
    for size, rotated in ((view, False), (raw, orientation >= 5)):
        if abs(said[0] * size[1] - said[1] * size[0]) <= ASPECT_TOLERANCE * said[0] * size[1]:
            return float(said[0]), float(said[1]), rotated, [Fault(faults.SIZE_SCALED, image.name, detail, FIXED)]
    wrong = Fault(faults.SIZE_WRONG, image.name, f"{detail}; boxes taken as pixels", FIXED)
    return float(view[0]), float(view[1]), False, [wrong]


def _in_fractions(image: AnnotatedImage) -> bool:
    """Whether all boxes lie within the image's first pixel: no one draws there, so their unit is the image."""
    corners = [side for box in image.boxes for side in (box.xmin, box.ymin, box.xmax, box.ymax)]
    whole = all(side == side // 1 for side in corners)
    return bool(corners) and not whole and min(corners) >= -0.01 and max(corners) <= 1.01


def rotate_point(x: Number, y: Number, orientation: int) -> tuple[Number, Number]:
    """Where a point lies once EXIF's orientation is applied; (x, y) in fractions before and after."""
    return {
        1: (x, y), 2: (1 - x, y), 3: (1 - x, 1 - y), 4: (x, 1 - y),
        5: (y, x), 6: (1 - y, x), 7: (1 - y, 1 - x), 8: (y, 1 - x),
    }[orientation]  # fmt: skip


def _moved(box: Box, width: float, height: float, orientation: int) -> Box:
    """The box with its mask and its keypoints in fractions of the image, turned by `orientation`."""
    scale = np.array([width, height])

    def move(points: np.ndarray) -> np.ndarray:
        along, down = (points / scale).T
        xs, ys = rotate_point(along, down, orientation)
        return np.stack([xs, ys], 1)

    def point(x: float, y: float, seen: int) -> Point:
        x, y = rotate_point(x / width, y / height, orientation)
        return (x, y, seen) if seen and 0 <= x <= 1 and 0 <= y <= 1 else (0.0, 0.0, 0)

    return dataclasses.replace(
        box,
        mask=box.mask and masks.moved(box.mask, move, orientation),
        keypoints=tuple(point(*values) for values in box.keypoints),
    )


def _detail(box: Box, width: float, height: float) -> str:
    return f"{box.label} {box.xmin:g} {box.ymin:g} {box.xmax:g} {box.ymax:g} in {width:g}x{height:g}"


def place_boxes(image: AnnotatedImage, raw: tuple[int, int], orientation: int) -> tuple[list[Box], list[Fault]]:
    """The image's boxes in fractions of the image as viewers show it, and what had to be fixed.

    Corners are clipped to the image. `area` becomes a fraction of the image's area. A box that lies
    wholly outside is dropped; a keypoint that does counts as not annotated.
    """
    width, height, rotate, found = frame(image, raw, orientation)
    slack_x, slack_y = ((EDGE_TOLERANCE / raw[0], EDGE_TOLERANCE / raw[1]) if (width, height) == (1, 1) else
                        (EDGE_TOLERANCE / width, EDGE_TOLERANCE / height))  # fmt: skip
    kept = []
    for box in image.boxes:
        corners = [(box.xmin / width, box.ymin / height), (box.xmax / width, box.ymax / height)]
        if rotate:
            corners = [rotate_point(x, y, orientation) for x, y in corners]
        xs, ys = sorted(x for x, _ in corners), sorted(y for _, y in corners)
        if xs[0] >= 1 or ys[0] >= 1 or xs[1] <= 0 or ys[1] <= 0:
            found.append(Fault(faults.BOX_OUTSIDE, image.name, _detail(box, width, height)))
            continue
        if xs[0] < -slack_x or ys[0] < -slack_y or xs[1] > 1 + slack_x or ys[1] > 1 + slack_y:
            found.append(Fault(faults.BOX_CLIPPED, image.name, _detail(box, width, height), FIXED))
        xmin, xmax, ymin, ymax = (min(max(value, 0.0), 1.0) for value in (*xs, *ys))
        if xmax - xmin < max(THINNEST * slack_x, 1e-6) or ymax - ymin < max(THINNEST * slack_y, 1e-6):
            found.append(Fault(faults.BOX_EMPTY, image.name, _detail(box, width, height)))
            continue
        whole = (xmax - xmin) * (ymax - ymin)
        area = min(box.area / (width * height), whole) if box.area else whole
        if box.mask or box.keypoints:
            box = _moved(box, width, height, orientation if rotate else 1)
        kept.append(
            # Written out: dataclasses.replace takes ten times as long, which shows with millions of boxes.
            Box(box.label, xmin, ymin, xmax, ymax, is_crowd=box.is_crowd, difficult=box.difficult,
                truncated=box.truncated, area=area, group_of=box.group_of, mask=box.mask, keypoints=box.keypoints)
        )  # fmt: skip
    return kept, found
