"""What event files are made of: bytes by tag and kind, steps, gaps, doubles, damage. Memory stays flat."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.events.event_reader import EventReader, Series
from app.events.image_codec import recode_image
from app.events.log_files import find_logs
from app.events.log_index import FileIndex, FolderIndex, Key, Track
from app.events.log_writer import read_event_at
from app.events.rewrite import rewrite_event
from app.events.summary_value import IMAGE, SCALAR
from app.events.superseded import mark_superseded
from app.tfrecord import OVERHEAD

GAP = 3
"""Times the usual distance of two values from which on there is a gap between them."""
_FARTHEST = (1 << 63) - 1
"""Distance of two steps that 64 bits hold."""
SAMPLES = 8
"""Images of each tag and file that are encoded anew to learn what that saves."""


@dataclass(frozen=True)
class TagStatistics:
    """A tag of one folder. Sizes in bytes. `every`: the usual distance of its steps, 0 where there is none.

    `superseded`: values that a resume wrote again; `gaps`: distances above `GAP` times the usual one, `longest_gap` the
    steps before and after the longest. `saved`: what compaction saves without dropping any other value.
    """

    folder: str
    tag: str
    kind: str
    plugin: str
    values: int
    bytes: int
    first_step: int
    last_step: int
    every: int
    superseded: int
    gaps: int
    longest_gap: tuple[int, int] | None
    saved: int


@dataclass(frozen=True)
class FileStatistics:
    """One event file. `damaged`: bytes that are no records; `is_cut`: the last of them reach to its end.

    `restarts`: how often it says that training begins anew; times are seconds since 1970.
    """

    file: str
    bytes: int
    events: int
    restarts: int
    damaged: int
    faults: int
    is_cut: bool
    first_time: float
    last_time: float


@dataclass(frozen=True)
class LogStatistics:
    """What is at one path. `kinds`: bytes by kind of value, and by kind of event for those without values."""

    path: str
    bytes: int
    kinds: dict[str, int]
    saved: int
    files: list[FileStatistics]
    tags: list[TagStatistics]


class StepRuns:
    """Steps of a tag in one file, as runs of equal distance: a cadence takes the same memory at any length."""

    def __init__(self) -> None:
        self.firsts, self.strides, self.counts, self.offsets = array("q"), array("q"), array("q"), array("q")
        self.values = self.bytes = 0
        self.samples: list[int] = []
        self._last = self._next = 0

    def add(self, step: int, offset: int, size: int) -> None:
        self.values += 1
        self.bytes += size
        if step == self._next and self.values > 2:
            self.counts[-1] += 1
            self._next += self.strides[-1]
        elif self.counts and self.counts[-1] == 1 and abs(step - self._last) <= _FARTHEST:
            self.strides[-1] = step - self._last
            self.counts[-1] = 2
            self._next = 2 * step - self._last
        else:
            for column, value in zip(
                (self.firsts, self.strides, self.counts, self.offsets), (step, 0, 1, offset), strict=True
            ):
                column.append(value)
            self._next = step
        self._last = step
        if self.values & (self.values - 1) == 0:  # 1, 2, 4, 8, ...: from all over the file, the first as often as not.
            self.samples.append(offset)

    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Every step, and the offset at which its run begins."""
        counts = np.array(self.counts)
        runs = np.repeat(np.arange(len(counts)), counts)
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.array(self.firsts)[runs] + np.array(self.strides)[runs] * place, np.array(self.offsets)[runs]


def describe_log(path: Path, progress: Callable[[int, int], None] = lambda done, of: None) -> LogStatistics:
    """Reads the event files at or below `path` once. Raises SettingsError where there are none."""
    logs = find_logs(path)
    root = path if path.is_dir() else path.parent
    whole, done = sum(file.stat().st_size for files in logs.values() for file in files), 0
    kinds, files, tags = dict[str, int](), list[FileStatistics](), list[TagStatistics]()
    for folder, paths in logs.items():
        plugins: dict[str, str] = {}
        readers = []
        for file in paths:
            reader = EventReader(file, StepRuns, plugins)
            told = 0
            for series, offset, step, size, _ in reader:
                series.held.add(step, offset, size)
                if offset > told + _TELL_EVERY:
                    progress(done + offset, whole)
                    told = offset
            done += reader.size
            readers.append(reader)
            files.append(_describe_file(reader, root))
            for other in reader.others:
                kinds[other.what] = kinds.get(other.what, 0) + other.size
        tags += _describe_tags(folder, readers, root, plugins)
    for tag in tags:
        kinds[tag.kind] = kinds.get(tag.kind, 0) + tag.bytes
    damaged = sum(file.damaged for file in files)
    saved = damaged + sum(tag.saved for tag in tags)
    ordered = dict(sorted({**kinds, **({"damaged": damaged} if damaged else {})}.items(), key=lambda item: -item[1]))
    return LogStatistics(str(path), whole, ordered, saved, files, sorted(tags, key=lambda tag: -tag.bytes))


_TELL_EVERY = 16 << 20


def _describe_file(reader: EventReader[StepRuns], root: Path) -> FileStatistics:
    return FileStatistics(
        file=reader.path.relative_to(root).as_posix(),
        bytes=reader.size,
        events=reader.events,
        restarts=len({restart.step for restart in reader.restarts}),
        damaged=sum(fault.size for fault in reader.faults),
        faults=len(reader.faults),
        is_cut=any(fault.is_tail for fault in reader.faults),
        first_time=reader.first_time,
        last_time=reader.last_time,
    )


def _describe_tags(
    folder: Path, readers: list[EventReader[StepRuns]], root: Path, plugins: Mapping[str, str]
) -> list[TagStatistics]:
    files = [
        FileIndex(
            path=reader.path, size=reader.size, modified=0, others=[], restarts=reader.restarts, faults=[],
            events=reader.events, first_time=reader.first_time, last_time=reader.last_time,
        )
        for reader in readers
    ]  # fmt: skip
    keys = {key: None for reader in readers for key in reader.series}
    return [_describe_tag(folder, key, files, readers, root, plugins) for key in keys]


def _describe_tag(
    folder: Path,
    key: Key,
    files: list[FileIndex],
    readers: list[EventReader[StepRuns]],
    root: Path,
    plugins: Mapping[str, str],
) -> TagStatistics:
    pieces = [(number, reader.series[key]) for number, reader in enumerate(readers) if key in reader.series]
    track = _track(folder, key, pieces)
    mark_superseded(FolderIndex(folder, files, [track]))
    size = sum(series.held.bytes for _, series in pieces)
    alive = track.steps[track.alive]
    dead = size * (1 - len(alive) / len(track.steps))
    saved = dead + (size - dead) * (1 - _recoded_share(key, pieces, files, plugins) if key[1] == IMAGE else 0)
    distances = np.diff(alive)
    forward = distances[distances > 0]
    every = int(np.median(forward)) if len(forward) else 0
    gaps = np.flatnonzero(distances > GAP * every) if every else forward
    longest = int(np.argmax(distances)) if len(gaps) else -1
    return TagStatistics(
        folder=folder.relative_to(root).as_posix(),
        tag=key[0],
        kind=key[1],
        plugin=next((series.plugin for _, series in pieces if series.plugin), ""),
        values=len(track.steps),
        bytes=size,
        first_step=int(track.steps.min()),
        last_step=int(track.steps.max()),
        every=every,
        superseded=len(track.steps) - len(alive),
        gaps=len(gaps),
        longest_gap=(int(alive[longest]), int(alive[longest + 1])) if longest >= 0 else None,
        saved=round(saved),
    )


def _track(folder: Path, key: Key, pieces: list[tuple[int, Series[StepRuns]]]) -> Track:
    """The tag with its steps; what only compaction needs is left empty."""
    runs = [series.held.steps() for _, series in pieces]
    steps = np.concatenate([steps for steps, _ in runs])
    return Track(
        folder=folder,
        tag=key[0],
        kind=SCALAR,
        metadata=b"",
        files=np.repeat([number for number, _ in pieces], [len(steps) for steps, _ in runs]),
        offsets=np.concatenate([offsets for _, offsets in runs]),
        steps=steps,
        sizes=np.zeros(0, np.int32),
        numbers=np.zeros(0),
    )


def _recoded_share(
    key: Key, pieces: list[tuple[int, Series[StepRuns]]], files: list[FileIndex], plugins: Mapping[str, str]
) -> float:
    """What of an image tag's bytes is left when its images are encoded anew, by a few of them."""
    before = after = 0
    for number, series in pieces:
        with open(files[number].path, "rb") as file:
            for offset in series.held.samples[-SAMPLES:]:
                data = read_event_at(file, offset)
                before += len(rewrite_event(data, {key}, plugins, None)) + OVERHEAD
                after += len(rewrite_event(data, {key}, plugins, recode_image)) + OVERHEAD
    return after / before if before else 1.0
