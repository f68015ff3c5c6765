"""Which files are event files, and whether one is still being written."""

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from app.errors import SettingsError
from app.settings import flag

UNFLUSHED_SECONDS = 120.0
"""TensorFlow's and PyTorch's writers put what they have on disk at least so often."""


def is_event_file(path: Path) -> bool:
    """By its name, as TensorBoard tells them."""
    return "tfevents" in path.name and not path.name.endswith(".profile-empty") and path.is_file()


def find_logs(path: Path) -> dict[Path, list[Path]]:
    """Event files by their folder, at or below `path`, in the order in which TensorBoard reads them.

    A folder is what TensorBoard calls a run. Raises SettingsError where there is none.
    """
    if path.is_file():
        return {path.parent: [path]}
    logs: dict[Path, list[Path]] = {}
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = sorted(file for name in names if is_event_file(file := Path(folder) / name))
        if files:
            logs[Path(folder)] = files
    if not logs:
        what = "has no event files" if path.is_dir() else "does not exist"
        raise SettingsError(what, where=str(path), remedy="name a folder that TensorBoard is given, or an event file")
    return logs


def refuse_open(paths: Iterable[Path], *, is_replaced: bool) -> None:
    """Raises SettingsError for a file that a process of this machine has open for writing.

    Those of other machines, users and containers are not to be seen. So where the files are to be replaced, which would
    take them from their writer, one that was written in the last `UNFLUSHED_SECONDS` is refused as well.
    """
    files = {(status.st_dev, status.st_ino): path for path in paths if (status := path.stat())}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # It has ended, or is not to be seen.
            for descriptor in (process / "fd").iterdir():
                path = _written_by(process, descriptor, files)
                if path is not None:
                    what = f"is being written by process {process.name}"
                    raise SettingsError(what, where=str(path), remedy="again when that has ended")
    for path in files.values() if is_replaced else ():
        age = time.time() - path.stat().st_mtime
        if 0 <= age < UNFLUSHED_SECONDS:
            raise SettingsError(
                f"was written {age:.0f} s ago, so that a process that is not to be seen from here may go on with it",
                where=str(path),
                remedy=f"again in {UNFLUSHED_SECONDS - age:.0f} s, or without {flag('in_place')}",
            )


def _written_by(process: Path, descriptor: Path, files: dict[tuple[int, int], Path]) -> Path | None:
    """The one of `files` that the descriptor writes to."""
    try:
        status = descriptor.stat()
        path = files.get((status.st_dev, status.st_ino))
        if path is None:
            return None
        lines = (process / "fdinfo" / descriptor.name).read_text().splitlines()
    except FileNotFoundError:
        return None
    flags = next((int(line.split()[1], 8) for line in lines if line.startswith("flags:")), 0)
    return path if flags & os.O_ACCMODE != os.O_RDONLY else None
