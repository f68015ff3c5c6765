"""What compaction kept and dropped of every tag, read back from the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import DetboxError
from app.events.log_index import FolderIndex, Key, Track, index_folder


@dataclass(frozen=True)
class Point:
    """A value of a scalar; `number` is as exact as the file has it."""

    step: int
    number: float


@dataclass(frozen=True)
class TagProof:
    """A tag of one folder. Counts are values, sizes bytes; `superseded`: written again by a resume.

    `first`, `last`, `minimum`, `maximum`: of a scalar, over all values that are not superseded; each is in the result.
    """

    folder: str
    tag: str
    kind: str
    values: int
    superseded: int
    thinned: int
    kept: int
    bytes_before: int
    bytes_after: int
    first: Point | None = None
    last: Point | None = None
    minimum: Point | None = None
    maximum: Point | None = None


def prove(index: FolderIndex, written: Sequence[Path], root: Path) -> list[TagProof]:
    """Reads a compacted folder and compares it with what is to be in it.

    Raises DetboxError where it differs, which nothing but a fault of the disk or of compaction explains.
    """
    found = {track.key: track for track in index_folder(index.folder, list(written)).tracks} if written else {}
    return [_prove_track(track, found, index.folder, root) for track in index.tracks]


def _prove_track(track: Track, found: Mapping[Key, Track], folder: Path, root: Path) -> TagProof:
    kept = track.steps[track.keep]
    read = found.get(track.key)
    steps = read.steps if read else np.zeros(0, np.int64)
    numbers = read.numbers if read else np.zeros(0)
    if not np.array_equal(kept, steps) or (
        track.is_scalar and not np.array_equal(track.numbers[track.keep], numbers, equal_nan=True)
    ):
        raise DetboxError(f"the compacted log has other values of {track.tag} than it was to have", where=str(folder))
    extremes = _extremes(track.steps[track.alive], track.numbers[track.alive]) if track.is_scalar else {}
    if track.keep.any() and extremes != (_extremes(steps, numbers) if track.is_scalar else {}):
        raise DetboxError(f"the compacted log has other extrema of {track.tag}", where=str(folder))
    alive = int(track.alive.sum())
    return TagProof(
        folder=folder.relative_to(root).as_posix(),
        tag=track.tag,
        kind=track.kind,
        values=len(track.steps),
        superseded=len(track.steps) - alive,
        thinned=alive - len(kept),
        kept=len(kept),
        bytes_before=int(track.sizes.sum()),
        bytes_after=int(read.sizes.sum()) if read else 0,
        **extremes,
    )


def _extremes(steps: np.ndarray, numbers: np.ndarray) -> dict[str, Any]:
    """First, last, least and greatest point; of equal ones the first."""
    if not len(steps):
        return {}
    ends = {"first": 0, "last": len(steps) - 1}
    if not np.isnan(numbers).all():
        ends |= {"minimum": int(np.nanargmin(numbers)), "maximum": int(np.nanargmax(numbers))}
    # A number that is none equals itself here: as text.
    return {name: Point(int(steps[at]), _plain(float(numbers[at]))) for name, at in ends.items()}


def _plain(number: float) -> Any:
    return number if number == number else "NaN"
