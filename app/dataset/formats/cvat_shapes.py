"""What CVAT draws, as boxes: boxes that may be turned, outlines, lines, points, ellipses, masks, cuboids, skeletons."""

import math
from xml.etree.ElementTree import Element

import numpy as np

from app.dataset import faults, masks
from app.dataset.annotation import Box, Point
from app.dataset.faults import FIXED, Fault
from app.dataset.shapes import Corners, box_around, box_around_ellipse, box_around_rotated

NO_SHAPES = frozenset({"tag", "attribute"})
"""What an `<image>` holds besides shapes: classes of the whole image."""
_POINTS = ("polygon", "polyline", "points")
_CUBOID = [(f"x{corner}{side}", f"y{corner}{side}") for corner in ("tl", "bl", "tr", "br") for side in (1, 2)]


class Labels:
    """The labels that the XML declares: `names` in order; `joints`, the points of each skeleton, in order."""

    def __init__(self, document: Element):
        self.names: list[str] = []
        self.joints: dict[str, list[str]] = {}
        for node in document.iterfind("meta//labels/label"):
            name = " ".join(node.findtext("name", "").split())
            parent = " ".join(node.findtext("parent", "").split())
            if parent:
                self.joints.setdefault(parent, []).append(name)
            elif name and node.findtext("type", "").strip() != "tag":
                self.names.append(name)
        self.names = list(dict.fromkeys(self.names))


def size(width: str | None, height: str | None) -> tuple[int, int]:
    """The image's size as stated in pixels, or zeros."""
    try:
        sides = float(width or ""), float(height or "")
    except ValueError:
        return 0, 0
    return (round(sides[0]), round(sides[1])) if all(0 < side < 1e6 for side in sides) else (0, 0)


def box(
    node: Element, label: str, labels: Labels, where: str, image: tuple[int, int], masked: bool
) -> tuple[Box | None, list[Fault]]:
    """The box of a shape, or around it, and what is to be said; without the box what it was lost for.

    `image`: its width and height, which the masks are drawn in.
    """
    if not label:
        return None, [Fault(faults.LABEL_UNKNOWN, where, f"{node.tag} without a label")]
    try:
        corners, name = _around(node)
    except (ValueError, OverflowError):
        return None, [Fault(faults.BOX_UNREADABLE, where, f"{label}, {node.tag}")]
    found = [Fault(faults.BOX_AROUND, where, f"{label}, {name}", FIXED)] if name else []
    mask = None
    if masked and node.tag in ("polygon", "mask"):
        try:
            mask = _mask(node, image)
        except (ValueError, OverflowError) as error:
            found.append(Fault(faults.MASK_UNREADABLE, where, f"{label}: {str(error)[:80]}", FIXED))
    said = {a.get("name", "").casefold(): (a.text or "").strip().casefold() for a in node.iterfind("attribute")}
    flags = {key: said.get(key) in ("true", "1") for key in ("is_crowd", "difficult", "truncated")}
    keypoints = _keypoints(node, labels.joints.get(label, [])) if node.tag == "skeleton" else ()
    return Box(label, *corners, **flags, mask=mask, keypoints=keypoints), found


def _around(node: Element) -> tuple[Corners, str]:
    """The corners, and what was drawn if that is no upright box. Raises ValueError for what is not whole."""
    if node.tag == "box":
        xmin, ymin, xmax, ymax = _numbers(node, "xtl", "ytl", "xbr", "ybr")
        turn = float(node.get("rotation") or 0)
        if turn % 180 == 0:
            return (xmin, ymin, xmax, ymax), ""
        middle = (xmin + xmax) / 2, (ymin + ymax) / 2
        return box_around_rotated(*middle, xmax - xmin, ymax - ymin, math.radians(turn)), "rotated box"
    if node.tag == "ellipse":
        x, y, radius_x, radius_y = _numbers(node, "cx", "cy", "rx", "ry")
        return box_around_ellipse(x, y, radius_x, radius_y, math.radians(float(node.get("rotation") or 0))), "ellipse"
    if node.tag == "mask":
        left, top, width, height = _numbers(node, "left", "top", "width", "height")
        return (left, top, left + width, top + height), "mask"
    if node.tag == "cuboid":
        points = [(x, y) for x, y in (_numbers(node, *names) for names in _CUBOID)]
    elif node.tag == "skeleton":
        points = [point for joint in node.iterfind("points") if joint.get("outside") != "1" for point in _points(joint)]
    elif node.tag in _POINTS:
        points = _points(node)
    else:
        raise ValueError("an unknown shape")
    return box_around(points), node.tag


def _numbers(node: Element, *names: str) -> list[float]:
    values = [float(node.get(name, "")) for name in names]
    if not all(map(math.isfinite, values)):
        raise ValueError("numbers that are none")
    return values


def _points(node: Element) -> list[tuple[float, float]]:
    """`x,y;x,y;...`"""
    pairs = (pair.split(",") for pair in node.get("points", "").split(";") if pair.strip())
    return [(float(x), float(y)) for x, y in pairs]


def _keypoints(node: Element, order: list[str]) -> tuple[Point, ...]:
    """The joints in the order in which the skeleton's label declares them, else as they come; those not there as 0."""
    found: dict[str, Point] = {}
    for joint in node.iterfind("points"):
        name, (x, y) = " ".join(joint.get("label", "").split()), (_points(joint) or [(0.0, 0.0)])[0]
        seen = 0 if joint.get("outside") == "1" else 1 if joint.get("occluded") == "1" else 2
        found[name] = (x, y, seen)
    return tuple(found.get(name, (0.0, 0.0, 0)) for name in (order or found))


def _mask(node: Element, image: tuple[int, int]) -> masks.Mask:
    """The mask of an outline, or of run lengths of a bitmap's rows, 0 first, that lies at left, top of the image."""
    if node.tag == "polygon":
        return masks.of_outlines([[value for point in _points(node) for value in point]])
    left, top, width, height = (int(value) for value in _numbers(node, "left", "top", "width", "height"))
    runs = [int(value) for value in node.get("rle", "").split(",")]
    if min(left, top, *runs) < 0 or sum(runs) != width * height or not 0 < width * height <= masks.PIXELS_MAX:
        raise ValueError("run lengths that do not fill the bitmap")
    if left + width > image[0] or top + height > image[1] or image[0] * image[1] > masks.PIXELS_MAX:
        raise ValueError("a bitmap beyond the image")
    bitmap = np.zeros((image[1], image[0]), np.uint8)
    bitmap[top : top + height, left : left + width] = np.repeat(np.arange(len(runs)) % 2, runs).reshape(height, width)
    return masks.of_bitmap(bitmap)
