"""Which values a resumed training has written again."""

import itertools
from collections.abc import Sequence

import numpy as np

from app.events.log_index import FileIndex, FolderIndex, Track


def mark_superseded(index: FolderIndex) -> None:
    """Sets `alive` of each track of a folder: the later of two writers of a step wins.

    A value is superseded

    - by an event that says that training begins anew (SessionLog.START) at its step or before, as TensorBoard has it:
      the first such event of a folder says nothing of what was before;
    - by a later file whose values of this tag reach from before its step to after it, unless both files were written at
      the same time or count no steps. What that file does not reach was written once, and stays.
    """
    bases = np.concatenate(([0], np.cumsum([file.size for file in index.files])))
    restarts = [
        (int(bases[number]) + restart.offset, restart.step)
        for number, file in enumerate(index.files)
        for restart in file.restarts
    ][1:]
    places = np.array([place for place, _ in restarts], np.int64)
    # The lowest step of all restarts from one on.
    lowest = np.minimum.accumulate([step for _, step in reversed(restarts)] or [0])[::-1]
    for track in index.tracks:
        alive = np.ones(len(track.steps), bool)
        if restarts:
            following = np.searchsorted(places, bases[track.files] + track.offsets)
            alive = track.steps < np.append(lowest, np.iinfo(np.int64).max)[following]
        _mark_rewritten(index.files, track, alive)
        track.alive = track.keep = alive


def _mark_rewritten(files: Sequence[FileIndex], track: Track, alive: np.ndarray) -> None:
    bounds = np.flatnonzero(np.diff(track.files)) + 1
    edges = [0, *bounds.tolist(), len(track.steps)]
    parts = [slice(first, last) for first, last in itertools.pairwise(edges)]
    writers = [files[track.files[part.start]] for part in parts]
    reaches = [(int(track.steps[part].min()), int(track.steps[part].max())) for part in parts]
    for at, part in enumerate(parts):
        if not _counts(part, reaches[at]):
            continue
        for other in range(at + 1, len(parts)):
            first, last = reaches[other]
            if (
                reaches[at][1] >= first
                and reaches[at][0] <= last
                and writers[other].first_time >= writers[at].last_time
                and _counts(parts[other], reaches[other])
            ):
                alive[part] &= (track.steps[part] < first) | (track.steps[part] > last)


def _counts(part: slice, reach: tuple[int, int]) -> bool:
    """Whether a writer has told its steps: without, every value has the same."""
    return part.stop - part.start == 1 or reach[0] < reach[1]
