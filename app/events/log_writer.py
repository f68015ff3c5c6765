"""Compacted event files: what is kept is copied byte for byte, the rest is left out."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from app.events.image_codec import recode_image
from app.events.log_index import FileIndex, FolderIndex, Key, Track
from app.events.rewrite import add_metadata, lacks_metadata, rewrite_event
from app.events.summary_value import IMAGE, plugin_of
from app.tfrecord import HEADER, OVERHEAD, frame

CHUNK = 1 << 20


class Recoder:
    """Events with images, encoded anew; what was encoded to learn its size is kept in a temporary file."""

    def __init__(self, indices: Sequence[FolderIndex], folder: Path):
        self._paths = {index.folder: [file.path for file in index.files] for index in indices}
        self._folder = folder
        self._spool: BinaryIO | None = None
        self._made: dict[tuple[Path, int, int, Key], tuple[int, int]] = {}

    def sizes(self, track: Track, places: np.ndarray) -> np.ndarray:
        """Bytes that the events of a track at these indices take in the result."""
        if track.kind != IMAGE:
            return track.sizes[places]
        return np.array([self._size(track, int(at)) for at in places], np.int64)

    def _size(self, track: Track, at: int) -> int:
        name = track.folder, int(track.files[at]), int(track.offsets[at]), track.key
        if name not in self._made:
            with open(self._paths[track.folder][name[1]], "rb") as file:
                made = self._encode(read_event_at(file, name[2]), [track], plugins_of([track]))
            if self._spool is None:
                self._spool = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            self._made[name] = self._spool.seek(0, 2), len(made)
            self._spool.write(made)
        return self._made[name][1] + OVERHEAD

    def remake(
        self, source: BinaryIO, tracks: list[Track], file: int, offset: int, plugins: Mapping[str, str]
    ) -> bytes:
        """The event at `offset` of `source`, which is file number `file`, with its values of these tracks alone."""
        if len(tracks) == 1 and self._spool is not None:
            known = self._made.get((tracks[0].folder, file, offset, tracks[0].key))
            if known is not None:
                self._spool.seek(known[0])
                return self._spool.read(known[1])
        return self._encode(read_event_at(source, offset), tracks, plugins)

    def _encode(self, data: bytes, tracks: list[Track], plugins: Mapping[str, str]) -> bytes:
        return rewrite_event(data, {track.key for track in tracks}, plugins, recode_image)

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()


def plugins_of(tracks: Sequence[Track]) -> dict[str, str]:
    """The plugin of each tag that has one: the first, where a tag has several."""
    return {track.tag: plugin for track in reversed(tracks) if (plugin := plugin_of(track.metadata))}


@dataclass(frozen=True)
class _Kept:
    """Events of one file that have something to keep, by offset: whole ones, and those that are made anew."""

    whole: list[tuple[int, int]]
    anew: dict[int, list[Track]]


def write_folder(index: FolderIndex, target: Path, recoder: Recoder) -> list[Path]:
    """Writes the kept values of a folder's files to files of the same names in `target`; returns their paths.

    A file of which nothing is kept but its version is left out, unless the folder would have none.
    """
    target.mkdir(parents=True, exist_ok=True)
    plugins = plugins_of(index.tracks)
    wanting = _without_metadata(index, plugins)
    written = []
    for number, file in enumerate(index.files):
        kept = _kept_of(index, number, file, wanting)
        has_values = bool(kept.anew) or any(track.keep[track.files == number].any() for track in index.tracks)
        if not has_values and all(other.what == "file version" for other in file.others) and len(index.files) > 1:
            continue
        path = target / file.path.name
        with open(file.path, "rb") as source, open(path, "wb") as sink:
            for begin, end in _parts(kept):
                if begin < end:
                    _copy(source, sink, begin, end)
                else:
                    data = recoder.remake(source, kept.anew[begin], number, begin, plugins)
                    metadata = wanting.get((number, begin), {})
                    sink.write(frame(add_metadata(data, metadata) if metadata else data))
        written.append(path)
    return written


def _without_metadata(index: FolderIndex, plugins: dict[str, str]) -> dict[tuple[int, int], dict[str, bytes]]:
    """The kept events of tags that have lost the value with their metadata: {(file, offset): {tag: metadata}}.

    Those that a reader would need it for: the first of a tag, or all where the tag has values of several kinds.
    """
    found: dict[tuple[int, int], dict[str, bytes]] = {}
    kinds = Counter(track.tag for track in index.tracks)
    for track in index.tracks:
        kept = np.flatnonzero(track.keep) if track.metadata else np.zeros(0, np.int64)
        # The first of all has it, if any has: it is looked at where another takes its place.
        for at in kept if kinds[track.tag] > 1 else kept[:1][kept[:1] > 0]:
            place = int(track.files[at]), int(track.offsets[at])
            with open(index.files[place[0]].path, "rb") as file:
                if lacks_metadata(read_event_at(file, place[1]), track.key, plugins):
                    found.setdefault(place, {})[track.tag] = track.metadata
    return found


def _kept_of(
    index: FolderIndex, number: int, file: FileIndex, wanting: dict[tuple[int, int], dict[str, bytes]]
) -> _Kept:
    """Which events of a file are copied as they are, and which are made anew."""
    offsets, sizes = [], []
    for track in index.tracks:
        mask = (track.files == number) & track.keep
        offsets.append(track.offsets[mask])
        sizes.append(track.sizes[mask].astype(np.int64))
    starts, places = np.unique(np.concatenate([*offsets, np.zeros(0, np.int64)]), return_inverse=True)
    kept = np.bincount(places, np.concatenate([*sizes, np.zeros(0)]), minlength=len(starts)).astype(np.int64)
    lengths = _lengths(starts, index, number)
    changed = [own for track, own in zip(index.tracks, offsets, strict=True) if track.kind == IMAGE]
    added = np.array([place[1] for place in wanting if place[0] == number], np.int64)
    remade = np.unique(np.concatenate([starts[kept != lengths], *changed, added]))
    anew: dict[int, list[Track]] = {int(offset): [] for offset in remade}
    for track, own in zip(index.tracks, offsets, strict=True):
        for offset in np.unique(own[np.isin(own, remade)]):
            anew[int(offset)].append(track)
    whole = [(int(at), int(size)) for at, size in zip(starts, lengths, strict=True) if int(at) not in anew]
    whole += [(other.offset, other.size) for other in file.others]
    return _Kept(sorted(whole), anew)


def _lengths(starts: np.ndarray, index: FolderIndex, number: int) -> np.ndarray:
    """Bytes of the events at `starts`, all of whose values are somewhere in the tracks."""
    total = np.zeros(len(starts), np.int64)
    for track in index.tracks:
        mask = track.files == number
        own, sizes = track.offsets[mask], track.sizes[mask]
        places = np.searchsorted(starts, own)
        hit = places < len(starts)
        hit[hit] = starts[places[hit]] == own[hit]
        np.add.at(total, places[hit], sizes[hit])
    return total


def _parts(kept: _Kept) -> Iterator[tuple[int, int]]:
    """Ranges to copy, joined where they meet, and (offset, offset) of events that are made anew, in order."""
    begin = end = -1
    for first, last in sorted(kept.whole + [(at, 0) for at in kept.anew]):
        if last and first == end:
            end += last
            continue
        if begin >= 0:
            yield begin, end
            begin = end = -1
        if last:
            begin, end = first, first + last
        else:
            yield first, first
    if begin >= 0:
        yield begin, end


def _copy(source: BinaryIO, sink: BinaryIO, begin: int, end: int) -> None:
    source.seek(begin)
    for size in itertools.chain(itertools.repeat(CHUNK, (end - begin) // CHUNK), [(end - begin) % CHUNK]):
        sink.write(source.read(size))


def read_event_at(file: BinaryIO, offset: int) -> bytes:
    """The data of the record that begins at `offset`, which was read and checked before."""
    file.seek(offset)
    return file.read(HEADER.unpack(file.read(HEADER.size))[0])
