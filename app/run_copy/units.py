"""A run's files in the order in which they are copied, in units that are whole or left out."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.checkpoint import files_of
from app.run.directory import CHECKPOINT_PREFIX, Run
from app.run_copy.manifest import is_copied

WHOLE = {"best": 1, "records": 1, "detections": 1, "exports": 2, "promoted": 3}
"""Folders that are replaced as a whole, and how deep they lie: `exports/image_tensor`."""


@dataclass(frozen=True)
class Unit:
    """Files that belong together. `guard`: what is another one if they are replaced, by its inode.

    `can_wait`: a run goes on without it.
    """

    name: str
    paths: tuple[Path, ...]
    guard: Path | None = None
    can_wait: bool = False

    def identity(self) -> tuple[int, int] | None:
        """What changes when they are replaced or removed; None if they are gone, or a file alone."""
        try:
            found = os.stat(self.guard) if self.guard else None
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns) if found else None


def iterate_units(run: Run) -> Iterator[Unit]:
    """Every file of the run that is copied, each looked for when its turn comes.

    What tells of checkpoints comes before these, so that none is told of that is not there: they are saved first and
    deleted last. What is dropped when training goes on from an older step (metrics, events) comes after them. What can
    wait comes last.
    """
    told = [run.evaluations, run.rollbacks, run.done, *_files_under(run.evaluation_details(0).parent)]
    yield from _single(run, told)
    yield from _whole_folders(run, run.best)
    steps = run.checkpoint_steps()
    for step in steps[-1:]:
        yield _checkpoint(run, step)
    later = [run.records, run.detections, run.exports, run.root / "promoted"]
    taken = {run.best, run.evaluation_details(0).parent, *later}
    for path in _entries(run.root):
        if path.is_dir():
            yield from _single(run, _files_under(path)) if path not in taken else ()
        elif path not in told and not path.name.startswith(CHECKPOINT_PREFIX):
            yield from _single(run, [path])
    for step in reversed(steps[:-1]):
        yield _checkpoint(run, step, can_wait=True)
    for folder in later:
        yield from _whole_folders(run, folder, can_wait=True)


def _checkpoint(run: Run, step: int, *, can_wait: bool = False) -> Unit:
    paths = files_of(run.checkpoint(step))
    return Unit(paths[-1].stem, tuple(paths), paths[-1], can_wait)


def _single(run: Run, paths: list[Path]) -> Iterator[Unit]:
    for path in paths:
        relative = path.relative_to(run.root)
        if is_copied(relative) and path.is_file() and not path.is_symlink():
            yield Unit(str(relative), (path,))


def _whole_folders(run: Run, folder: Path, *, can_wait: bool = False) -> Iterator[Unit]:
    depth = WHOLE[folder.name]
    found = [folder]
    for _ in range(depth - 1):
        found = [entry for one in found for entry in _entries(one) if entry.is_dir()]
    for one in found:
        paths = [path for path in _files_under(one) if is_copied(path.relative_to(run.root))]
        if paths:
            yield Unit(str(one.relative_to(run.root)), tuple(paths), one, can_wait)


def _files_under(folder: Path) -> list[Path]:
    """The regular files below a folder, without those behind links, the newest part of a log last."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in _entries(folder):
            if entry.is_dir():
                found += _files_under(entry)
            elif entry.is_file():
                found.append(entry)
    return found


def _entries(folder: Path) -> list[Path]:
    """What is in a folder and is no link or hidden, by name; nothing if it is not there."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.is_symlink() and not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(names)]
