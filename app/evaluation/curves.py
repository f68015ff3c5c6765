"""Curves over the steps of a run, made of rows that may be doubled, noisy or not finite."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Points = tuple[tuple[float, float], ...]
"""`(step, value)`, ascending in step."""

SMOOTHED_FROM = 20
"""Fewer points than this are drawn as they are."""


def number(value: Any) -> float | None:
    """A finite number, or None for anything else that a file may hold in its place."""
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    return None


def superseded(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of steps that count: a run that went back to a checkpoint wrote the steps after it again."""
    kept: list[Mapping[str, Any]] = []
    for row in rows:
        while kept and kept[-1]["step"] >= row["step"]:
            kept.pop()
        kept.append(row)
    return kept


def smooth(points: Points) -> Points:
    """A moving average over about a twentieth of the curve, half of it on each side, so that nothing is late."""
    if len(points) < SMOOTHED_FROM:
        return points
    reach = max(len(points) // 40, 1)
    sums = [0.0]
    for _, value in points:
        sums.append(sums[-1] + value)
    found = []
    for at, (step, _) in enumerate(points):
        # The same reach on both sides: at the ends of the curve it shrinks, and the ends stay where they are.
        near = min(reach, at, len(points) - 1 - at)
        found.append((step, (sums[at + near + 1] - sums[at - near]) / (2 * near + 1)))
    return tuple(found)
