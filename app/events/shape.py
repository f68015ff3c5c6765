"""Fewer points of a curve that draw the same line."""

import numpy as np

PER_BUCKET = 4
"""First, last, least and greatest of each (M4: Jugel et al., VLDB 2014): what a column of pixels is drawn from."""


def select_points(steps: np.ndarray, numbers: np.ndarray, most: int) -> np.ndarray:
    """A mask of at most about `most` points, at least the few of `essential_points`, that keep the curve's shape."""
    if len(steps) <= most:
        return np.ones(len(steps), bool)
    buckets = max(most // PER_BUCKET - 1, 0)
    mask = essential_points(numbers)
    if not buckets:
        return mask
    bucket = _buckets(steps, buckets)
    edges = np.flatnonzero(np.diff(bucket)) + 1
    firsts = np.concatenate(([0], edges))
    mask[firsts] = True
    mask[np.concatenate((edges, [len(steps)])) - 1] = True
    # Of equal ones the first: lexsort is stable.
    mask[np.lexsort((np.nan_to_num(numbers, nan=np.inf, posinf=np.inf, neginf=-np.inf), bucket))[firsts]] = True
    mask[np.lexsort((-np.nan_to_num(numbers, nan=-np.inf, posinf=np.inf, neginf=-np.inf), bucket))[firsts]] = True
    return mask


def essential_points(numbers: np.ndarray) -> np.ndarray:
    """A mask of the first and last point, the least and the greatest number, and the first that is none."""
    mask = np.zeros(len(numbers), bool)
    if len(numbers):
        mask[[0, -1]] = True
        missing = np.isnan(numbers)
        if not missing.all():
            mask[[np.nanargmin(numbers), np.nanargmax(numbers)]] = True
        if missing.any():
            mask[np.argmax(missing)] = True
    return mask


def select_evenly(count: int, most: int) -> np.ndarray:
    """A mask of at most `most` of `count` things, evenly spaced, the first and the last among them."""
    mask = np.zeros(count, bool)
    if most == 1 and count:
        mask[-1] = True
    elif most > 1:
        mask[np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))] = True
    return mask


def select_every(steps: np.ndarray, every: int) -> np.ndarray:
    """A mask of the first point in each span of `every` steps, and of the last point."""
    mask = np.ones(len(steps), bool)
    mask[1:] = np.diff(steps // every) != 0
    mask[-1:] = True
    return mask


def _buckets(steps: np.ndarray, count: int) -> np.ndarray:
    """The bucket of each point: of equal spans of steps, or where these go back, of equal numbers of points."""
    if (np.diff(steps) < 0).any():
        return np.arange(len(steps)) * count // len(steps)
    span = max(int(steps[-1] - steps[0]) + 1, 1)
    found: np.ndarray = ((steps - steps[0]) / span * count).astype(np.int64)
    return found
