"""Where every value of a folder's event files is: what compaction decides by."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.events.event_reader import EventReader, Other, Restart
from app.events.frame_reader import Fault
from app.events.summary_value import SCALAR

Key = tuple[str, str]
"""Tag and kind: tags of one name and two kinds are two series."""


class Places:
    """The values of a series in one file, in order: 28 bytes each for a scalar, 20 for another."""

    def __init__(self) -> None:
        self.offsets, self.steps, self.sizes, self.numbers = array("q"), array("q"), array("i"), array("d")


@dataclass
class FileIndex:
    """What is in one event file."""

    path: Path
    size: int
    modified: int
    others: list[Other]
    restarts: list[Restart]
    faults: list[Fault]
    events: int
    first_time: float
    last_time: float


@dataclass
class Track:
    """A series over all files of a folder, in order. `metadata`: the first that was given, as bytes.

    `files`: the number of the file of each value; `offsets`, `sizes`: of its event, bytes; `numbers`: of scalars.
    `alive`: no resume has written it again. `keep`: it is to be in the result.
    """

    folder: Path
    tag: str
    kind: str
    metadata: bytes
    files: np.ndarray
    offsets: np.ndarray
    steps: np.ndarray
    sizes: np.ndarray
    numbers: np.ndarray
    alive: np.ndarray = field(init=False)
    keep: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.alive = np.ones(len(self.steps), bool)
        self.keep = self.alive

    @property
    def is_scalar(self) -> bool:
        return self.kind == SCALAR

    @property
    def key(self) -> Key:
        return self.tag, self.kind


@dataclass
class FolderIndex:
    """What is in the event files of one folder."""

    folder: Path
    files: list[FileIndex]
    tracks: list[Track]


def index_folder(folder: Path, paths: list[Path], progress: Callable[[int], None] = lambda size: None) -> FolderIndex:
    """Reads the event files of a folder once, with all checksums. `progress` is told of bytes that were read."""
    plugins: dict[str, str] = {}
    files, pieces, metadata = [], dict[Key, list[tuple[int, Places]]](), dict[Key, bytes]()
    for number, path in enumerate(paths):
        status = path.stat()
        reader = EventReader(path, Places, plugins)
        told = 0
        for series, offset, step, size, value in reader:
            places = series.held
            places.offsets.append(offset)
            places.steps.append(step)
            places.sizes.append(size)
            if value is not None:
                places.numbers.append(value)
            if offset - told > _TELL_EVERY:
                progress(offset - told)
                told = offset
        progress(reader.size - told)
        for key, series in reader.series.items():
            pieces.setdefault(key, []).append((number, series.held))
            metadata[key] = metadata.get(key) or series.metadata
        files.append(
            FileIndex(
                path=path,
                size=reader.size,
                modified=status.st_mtime_ns,
                others=reader.others,
                restarts=reader.restarts,
                faults=reader.faults,
                events=reader.events,
                first_time=reader.first_time,
                last_time=reader.last_time,
            )
        )
    tracks = [_join(folder, key, metadata[key], places) for key, places in pieces.items()]
    return FolderIndex(folder, files, tracks)


_TELL_EVERY = 16 << 20


def _join(folder: Path, key: Key, metadata: bytes, pieces: list[tuple[int, Places]]) -> Track:
    def joined(name: str, kind: type) -> np.ndarray:
        return np.concatenate([np.array(getattr(places, name), kind) for _, places in pieces])

    return Track(
        folder=folder,
        tag=key[0],
        kind=key[1],
        metadata=metadata,
        files=np.concatenate([np.full(len(places.steps), number, np.int32) for number, places in pieces]),
        offsets=joined("offsets", np.int64),
        steps=joined("steps", np.int64),
        sizes=joined("sizes", np.int32),
        numbers=joined("numbers", np.float64),
    )
