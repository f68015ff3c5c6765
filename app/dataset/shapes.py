"""The upright boxes around what annotation tools draw besides boxes."""

import math
from collections.abc import Iterable

Corners = tuple[float, float, float, float]
"""xmin, ymin, xmax, ymax, in the unit of the shape."""


def box_around(points: Iterable[tuple[float, float]]) -> Corners:
    """The box around points (x, y): an outline, a line, keypoints. Raises ValueError without a finite point."""
    there = list(points)
    if not there or not all(math.isfinite(x) and math.isfinite(y) for x, y in there):
        raise ValueError("no points, or points that are no numbers")
    xs, ys = [x for x, _ in there], [y for _, y in there]
    return min(xs), min(ys), max(xs), max(ys)


def box_around_rotated(x: float, y: float, width: float, height: float, radians: float) -> Corners:
    """The box around a rectangle with its centre at x, y, turned by `radians` (either way gives the same box)."""
    cos, sin = abs(math.cos(radians)), abs(math.sin(radians))
    half_x, half_y = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
    return x - half_x, y - half_y, x + half_x, y + half_y


def box_around_ellipse(x: float, y: float, radius_x: float, radius_y: float, radians: float = 0.0) -> Corners:
    """The box around an ellipse with its centre at x, y, turned by `radians`."""
    cos, sin = math.cos(radians), math.sin(radians)
    half_x, half_y = math.hypot(radius_x * cos, radius_y * sin), math.hypot(radius_x * sin, radius_y * cos)
    return x - half_x, y - half_y, x + half_x, y + half_y
