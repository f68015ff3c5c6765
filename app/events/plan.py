"""Which values a compacted log keeps: by a budget, and by cadences for tags."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.events import shape
from app.events.log_index import FolderIndex, Track
from app.events.summary_value import AUDIO, HISTOGRAM, IMAGE, SCALAR

SCALAR_SHARE = 0.5
"""Of what a budget leaves to scalars and images together, where both want more."""
SERIES = frozenset({IMAGE, HISTOGRAM, AUDIO, "pr_curves", "mesh", "text"})
"""Kinds that are large and come again and again: fewer of them tell the same."""

Sizes = Callable[[Track, np.ndarray], np.ndarray]
"""Bytes that the events of a track at these indices will have."""


@dataclass(frozen=True)
class Cadence:
    """Tags that `pattern` matches keep one value in each span of `every` steps; 0: none at all."""

    pattern: str
    every: int


def plan_folders(indices: Sequence[FolderIndex], budget: int, cadences: Sequence[Cadence], sizes: Sizes) -> list[str]:
    """Sets `keep` of every track so that all folders together take at most `budget` bytes; 0: no budget.

    Returns what stands in the way of that, as lines for the user. Kinds that are not known are kept whole.
    """
    tracks = [track for index in indices for track in index.tracks]
    free = [track for track in tracks if not _apply_cadence(track, cadences)]
    if not budget:
        return []
    fixed = sum(other.size for index in indices for file in index.files for other in file.others)
    bulky = [track for track in free if track.kind in SERIES]
    scalars = [track for track in free if track.kind == SCALAR]
    fitted = {id(track) for track in (*bulky, *scalars)}
    fixed += sum(_kept_size(track, sizes) for track in tracks if id(track) not in fitted)
    room = budget - fixed
    wanted = sum(_mean_size(track, sizes) * int(track.alive.sum()) for track in bulky)
    _fit_scalars(scalars, int(max(room * SCALAR_SHARE, room - wanted)))
    room -= sum(int(track.sizes[track.keep].sum()) for track in scalars)
    _fit_series(bulky, room, sizes)
    room -= sum(_kept_size(track, sizes) for track in bulky)
    if room < 0:
        return [
            f"the budget is exceeded by {-room} bytes: what is kept whatever the budget takes {budget - room} bytes"
        ]
    return []


def _apply_cadence(track: Track, cadences: Sequence[Cadence]) -> bool:
    """Whether a cadence is given for the track's tag; the first that matches counts. Without steps there is none."""
    has_steps = len(track.steps) == 1 or (track.steps != track.steps[0]).any()
    for cadence in cadences:
        if fnmatch.fnmatchcase(track.tag, cadence.pattern) and (has_steps or not cadence.every):
            alive = np.flatnonzero(track.alive)
            keep = np.zeros(len(track.alive), bool)
            if cadence.every and len(alive):
                mask = shape.select_every(track.steps[alive], cadence.every)
                if track.is_scalar:
                    mask |= shape.essential_points(track.numbers[alive])
                keep[alive[mask]] = True
            track.keep = _with_twins(track, keep)
            return True
    return False


def _kept_size(track: Track, sizes: Sizes) -> int:
    return int(sizes(track, np.flatnonzero(track.keep)).sum())


def _fit_scalars(tracks: Sequence[Track], room: int) -> None:
    """Keeps the shape of each curve, at the same number of points for each that has more."""
    if not tracks or sum(int(track.sizes[track.alive].sum()) for track in tracks) <= room:
        return
    low, high = 0, max(int(track.alive.sum()) for track in tracks)
    while low < high:
        most = (low + high + 1) // 2
        estimate = sum(min(int(track.alive.sum()), most) * float(track.sizes.mean()) for track in tracks)
        low, high = (most, high) if estimate <= room else (low, most - 1)
    while True:
        for track in tracks:
            alive = np.flatnonzero(track.alive)
            keep = np.zeros(len(track.alive), bool)
            keep[alive[shape.select_points(track.steps[alive], track.numbers[alive], low)]] = True
            track.keep = _with_twins(track, keep)
        taken = sum(int(track.sizes[track.keep].sum()) for track in tracks)
        if taken <= room or not low:
            return
        low = int(min(low - 1, low * room / taken)) if room > 0 else 0  # Sizes differ, and some points are kept always.


def _fit_series(tracks: Sequence[Track], room: int, sizes: Sizes) -> None:
    """Keeps images and the like evenly over the run, the same number of each tag that has more."""
    counts = [int(track.alive.sum()) for track in tracks]
    if not tracks or not max(counts):
        return
    means = [_mean_size(track, sizes) for track in tracks]
    most = max(counts)
    while most:
        estimate = sum(min(count, most) * mean for count, mean in zip(counts, means, strict=True))
        if estimate <= room:
            for track in tracks:
                _select_evenly(track, most)
            taken = sum(_kept_size(track, sizes) for track in tracks)
            if taken <= room:
                return
            # From now on by what they really take.
            means = [_kept_size(track, sizes) / max(int(track.keep.sum()), 1) for track in tracks]
            most = min(most - 1, int(most * room / taken))
        else:
            fitting = int(most * room / estimate) if room > 0 else 0
            most = max(min(most - 1, fitting), 0)
    for track in tracks:
        _select_evenly(track, 0)


def _select_evenly(track: Track, most: int) -> None:
    alive = np.flatnonzero(track.alive)
    keep = np.zeros(len(track.alive), bool)
    keep[alive[shape.select_evenly(len(alive), most)]] = True
    track.keep = _with_twins(track, keep)


def _mean_size(track: Track, sizes: Sizes) -> float:
    alive = np.flatnonzero(track.alive)
    if not len(alive):
        return 0.0
    return float(sizes(track, alive[shape.select_evenly(len(alive), _SAMPLE)]).mean())


_SAMPLE = 5


def _with_twins(track: Track, keep: np.ndarray) -> np.ndarray:
    """Values of one tag in one event are kept together."""
    same = (np.diff(track.offsets) == 0) & (np.diff(track.files) == 0)
    if not same.any():
        return keep
    event = np.concatenate(([0], np.cumsum(~same)))
    together: np.ndarray = np.isin(event, event[keep])
    return together
