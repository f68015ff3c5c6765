"""Whether record files are what `prepare` wrote, and which record of one that is not can't be read."""

import fnmatch
import glob
import hashlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from app.dataset import card as cards
from app.dataset import records
from app.dataset.card import SplitCard
from app.dataset.records import RecordFile
from app.errors import DatasetError
from app.humanize import format_count

log = logging.getLogger(__name__)

Decode: TypeAlias = Callable[[bytes], str]
"""What is wrong with a record's contents, or an empty string."""

CHUNK = 1 << 20
SHARE = 0.1
"""Of one CPU, and of a disk's time, that the check of contents takes beside the work."""
REMOTE = "://"
"""In a path that TensorFlow reads and we do not."""
THREADS, AT_A_TIME = 8, 64


def find_misfit(folder: Path, splits: Iterable[SplitCard]) -> DatasetError | None:
    """The first record file of the splits that is missing or of another size than it was written with, or None."""
    return next((wrong for split in splits for wrong in _misfits(folder, split)), None)


def _misfits(folder: Path, split: SplitCard) -> Iterator[DatasetError]:
    if split.files is None:  # The card of an older version.
        found = sorted(folder.glob(split.records))
        if len(found) != split.shards:
            what = f"{len(found)} of {format_count(split.shards, 'record file')} are there"
            yield DatasetError(what, where=str(folder / split.records), remedy=records.REMEDY)
        yield from (_misfit(path, "is empty") for path in found if not path.stat().st_size)
        return
    for file in split.files:
        path = folder / file.name
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            yield _misfit(path, f"record file is missing, of {format_count(file.records, 'record')}")
        elif size != file.bytes:
            what = "is empty" if not size else f"has {size} of {file.bytes} bytes" if size < file.bytes else "has grown"
            yield _misfit(path, f"record file {what}; it was written with {format_count(file.records, 'record')}")


def _misfit(path: Path, what: str) -> DatasetError:
    return DatasetError(what, where=str(path), remedy=records.REMEDY)


def files_of(patterns: Iterable[str]) -> list[Path]:
    """The record files that a pipeline.config's `input_path` names, in the order of their names in each pattern."""
    return [Path(name) for pattern in patterns for name in sorted(glob.glob(pattern))]


def check_sizes(patterns: Sequence[str]) -> None:
    """Raises DatasetError if there is no record, or a file is missing or has another size than it was written with.

    `patterns`: a pipeline.config's `input_path`. Where there is no card beside the files, nothing is known of them.
    """
    for folder, splits in splits_of(patterns).items():
        if wrong := find_misfit(folder, splits):
            raise wrong
    if any(REMOTE in pattern for pattern in patterns) or not patterns:
        return
    files = files_of(patterns)
    if not any(path.stat().st_size for path in files):
        what = "record files are empty" if files else "no record file is there"
        raise DatasetError(what, where=", ".join(patterns), remedy=records.REMEDY)


def splits_of(patterns: Iterable[str]) -> dict[Path, list[SplitCard]]:
    """The splits that have files of these patterns, and only those files, by the folder that their card is in."""
    found: dict[Path, list[SplitCard]] = {}
    for pattern in patterns:
        above, name = os.path.split(pattern)
        for folder in map(Path, glob.glob(above or ".")):
            card = cards.read(folder)
            for split in card.splits.values() if card else ():
                files = [file for file in split.files or () if fnmatch.fnmatchcase(file.name, name)]
                if files or (split.files is None and split.records == name):
                    known = replace(split, files=tuple(files) or None)
                    found.setdefault(folder, []).append(known)
    return found


def find_damage(patterns: Sequence[str], decode: Decode | None) -> DatasetError | None:
    """What is wrong with the record files of `patterns`, or None where every record is whole and can be decoded.

    Sizes first, then the checksums of all records, then, with `decode`, their contents.
    """
    try:
        check_sizes(patterns)
    except DatasetError as error:
        return error
    return next(_damages(files_of(patterns), decode), None)


def _damages(files: Sequence[Path], decode: Decode | None) -> Iterator[DatasetError]:
    for path in files:
        if wrong := find_broken_frame(path):
            yield wrong
    with ThreadPoolExecutor(THREADS) as pool:
        for path in files if decode else ():
            for number, (offset, _, what) in enumerate(decoded(records.scan(path), decode, pool)):
                if what:
                    yield damage(path, f"record {number} at byte {offset} can't be decoded: {what}")


def find_broken_frame(path: Path) -> DatasetError | None:
    """The first record of a file that does not match its checksums, or None."""
    number = 0
    try:
        for number, _ in enumerate(records.scan(path), start=1):  # noqa: B007
            pass
    except DatasetError as error:
        return damage(path, f"{error.what} (record {number})")
    return None


def decoded(
    found: Iterable[tuple[int, bytes]], decode: Decode | None, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, bytes, str]]:
    """Each of the records with its offset and what is wrong with its contents; nothing without `decode`."""
    found, damaged = iter(found), None
    while not damaged:
        batch: list[tuple[int, bytes]] = []
        try:
            for item in itertools.islice(found, AT_A_TIME):
                batch.append(item)
        except DatasetError as error:
            damaged = error
        if not batch:
            break
        faults = pool.map(decode, [data for _, data in batch]) if decode else [""] * len(batch)
        yield from ((offset, data, what) for (offset, data), what in zip(batch, faults, strict=True))
    if damaged:
        raise damaged


def damage(path: Path, what: str) -> DatasetError:
    """The error for a record file whose size is right: `prepare` takes it for whole while it is there."""
    return DatasetError(what, where=str(path), remedy=f"remove that file, then {records.REMEDY}")


def find_changed(folder: Path, files: Iterable[RecordFile], *, share: float = 1.0) -> DatasetError | None:
    """The first file whose contents are not those that were written, or None. `share` of the time is worked."""
    for file in files:
        path = folder / file.name
        try:
            found = _sha256(path, share)
        except OSError as error:
            return damage(path, f"can't be read: {error.strerror}")
        if found != file.sha256:
            what = "its contents are not those that were written, though its records are whole"
            return find_broken_frame(path) or damage(path, what)
    return None


def _sha256(path: Path, share: float) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while True:
            began = time.monotonic()
            data = file.read(CHUNK)
            if not data:
                return digest.hexdigest()
            digest.update(data)
            if share < 1:
                time.sleep((time.monotonic() - began) * (1 / share - 1))


def check_contents_beside(patterns: Sequence[str], on_damage: Callable[[DatasetError], None]) -> None:
    """Checks the contents of the files in a thread of its own; calls `on_damage` for the first that differs."""

    def check() -> None:
        for folder, splits in splits_of(patterns).items():
            for split in splits:
                if wrong := find_changed(folder, split.files or (), share=SHARE):
                    log.error("%s", wrong)
                    on_damage(wrong)
                    return

    threading.Thread(target=check, name="contents of records", daemon=True).start()
