"""Curves over the steps of a run, from rows that may be repeated, noisy or not finite."""

from collections.abc import Mapping, Sequence
from typing import Any

Points = tuple[tuple[float, float], ...]
"""`(step, value)`, ascending in step."""

USUAL, ROOM, FAR = 0.95, 1.25, 5.0
SMOOTHED_FROM = 20
"""Fewer points than this are drawn as they are."""


def drop_superseded(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows of steps that count: a run that went back to a checkpoint wrote the steps after it again."""
    kept: list[Mapping[str, Any]] = []
    for row in rows:
        while kept and kept[-1]["step"] >= row["step"]:
            kept.pop()
        kept.append(row)
    return kept


def usual_range(*curves: Points) -> tuple[float, float] | None:
    """From the least to the greatest of what is usual, if a few values would leave the rest no room; else None.

    One loss of 1e6, such as that of a first evaluation, would draw all others as a line along the bottom.
    """
    values = sorted(value for points in curves for _, value in points)
    if len(values) < 2:
        return None
    usual = values[round((len(values) - 1) * USUAL)]
    top = values[0] + (usual - values[0]) * ROOM
    return (values[0], top) if values[-1] - values[0] > FAR * (usual - values[0]) > 0 else None


def smooth_curve(points: Points) -> Points:
    """A moving average over about a twentieth of the curve, half of it on each side, so that nothing is late.

    At the start, where a loss falls steeply, the reach shrinks on both sides; at the end on the one that is not there.
    """
    if len(points) < SMOOTHED_FROM:
        return points
    reach = max(len(points) // 40, 1)
    sums = [0.0]
    for _, value in points:
        sums.append(sums[-1] + value)
    found = []
    for at, (step, _) in enumerate(points):
        before = min(reach, at)
        after = min(before, len(points) - 1 - at)
        found.append((step, (sums[at + after + 1] - sums[at - before]) / (before + after + 1)))
    return tuple(found)
