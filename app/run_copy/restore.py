"""The restoring of a run, on a volume that has none, from its copy."""

import contextlib
import logging
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from app.errors import SettingsError
from app.humanize import format_bytes, format_count, format_time
from app.run.directory import Run
from app.run.files import flush
from app.run.lock import hold_lock
from app.run_copy.manifest import MOST_BYTES, CopiedFile, Manifest, parse, part_name, part_sizes, refusal
from app.run_copy.state import CopyState, write_state
from app.run_copy.store import CopyStore, Overtaken
from app.settings import flag

log = logging.getLogger(__name__)

PARALLEL = 8
"""Parts on their way at a time, each of 8 MiB in memory."""
ATTEMPTS = 5
"""How often the copy may change while it is restored."""


@dataclass(frozen=True)
class Restored:
    """What was restored, as it was `age` seconds ago on `host`."""

    step: int
    files: int
    bytes: int
    seconds: float
    host: str
    age: float

    def __str__(self) -> str:
        return (
            f"restored step {self.step}: {format_count(self.files, 'file')}, {format_bytes(self.bytes)} "
            f"in {self.seconds:.1f} s, as it was on {self.host} {format_time(max(self.age, 0))} ago"
        )


def restore(run: Run, store: CopyStore) -> Restored | None:
    """Restores the run if its folder holds none and the store has one; None if not.

    Every byte is compared with its hash before the folder gets its name. Raises SettingsError, and nothing is restored.
    """
    models_dir = run.root.parent
    models_dir.mkdir(parents=True, exist_ok=True)
    with hold_lock(models_dir / f".{run.name}.restore.lock", None, wait_for=f"another process to restore {run.name}"):
        for left in models_dir.glob(f".{run.name}.restore-*"):
            shutil.rmtree(left, ignore_errors=True)
        if not is_missing(run):
            return None
        started = time.monotonic()
        for _ in range(ATTEMPTS):
            with contextlib.suppress(Overtaken):
                found = _restore(run, store)
                return _restored(found, time.monotonic() - started) if found else None
        raise refusal("changes while it is restored: another machine still copies this run", store.where)


def is_missing(run: Run) -> bool:
    """Whether nothing of the run is there but what a process that has just started writes."""
    return not (run.provenance.exists() or run.metrics.exists() or run.checkpoint_steps())


def _restored(manifest: Manifest, seconds: float) -> Restored:
    age = time.time() - manifest.time
    return Restored(manifest.step, len(manifest.files), manifest.size, seconds, manifest.host, age)


def _restore(run: Run, store: CopyStore) -> Manifest | None:
    """Raises Overtaken if the copy has changed meanwhile."""
    found = store.read_manifest(MOST_BYTES)
    if found is None:
        return None
    manifest = parse(found[0], store.where)
    _check_space(run.root.parent, manifest)
    # From now on the machine that it is a copy of, should it still be there, does not change it any more.
    writer = uuid.uuid4().hex
    claim = replace(manifest, generation=manifest.generation + 1, writer=writer, host=socket.gethostname())
    store.replace_manifest(claim.serialize(), found[1])
    staging = Path(tempfile.mkdtemp(prefix=f".{run.name}.restore-", dir=run.root.parent))
    try:
        fresh = Run(staging / run.name)
        fresh.root.mkdir()
        _fetch(manifest.files, fresh.root, store)
        write_state(fresh, CopyState(where=store.where, writer=writer, step=manifest.step, time=manifest.time))
        os.sync()  # Hundreds of files at once: what has the run's name is whole, also when the power goes.
        _move_into_place(run, fresh.root, staging / "old")
        flush([run.root.parent])
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _fetch(files: Sequence[CopiedFile], root: Path, store: CopyStore) -> None:
    """Writes them below `root`, with the times that they had. Parts come ahead, in order, of many files at once."""
    coming = deque[tuple[CopiedFile, str, Future[bytes | None]]]()
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
        for name, size in zip(file.parts, part_sizes(file.size), strict=True):
            coming.append((file, name, store.start_get(name, size)))
            if len(coming) >= PARALLEL:
                _append(*coming.popleft(), root, store)
    while coming:
        _append(*coming.popleft(), root, store)
    for file in files:
        os.utime(root / file.path, ns=(file.mtime_ns, file.mtime_ns))


def _append(file: CopiedFile, name: str, future: "Future[bytes | None]", root: Path, store: CopyStore) -> None:
    with open(root / file.path, "ab") as output:
        output.write(_whole(file, name, future, store))


def _whole(file: CopiedFile, name: str, future: "Future[bytes | None]", store: CopyStore) -> bytes:
    data = future.result()
    if data is None or part_name(data) != name:
        what = "is missing or cut short" if data is None else "has changed"
        raise refusal(f"the copy is damaged: part {name[:12]} of {PurePosixPath(file.path)} {what}", store.where)
    return data


def _check_space(models_dir: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(models_dir).free
    if manifest.size > free:
        raise SettingsError(
            f"the copy of the run has {format_bytes(manifest.size)}, and {format_bytes(free)} are free",
            where=str(models_dir),
            remedy=f"free or choose another place: {flag('models_dir')}",
        )


def _move_into_place(run: Run, fresh: Path, old: Path) -> None:
    """Gives the folder its name. What this process has begun (logs, locks) is kept: it may have these open."""
    for folder in ("logs", "status"):
        with contextlib.suppress(FileNotFoundError):
            for path in (run.root / folder).iterdir():
                if path.suffix in (".lock", ".log") and path.is_file():
                    (fresh / folder).mkdir(exist_ok=True)
                    os.replace(path, fresh / folder / path.name)
    with contextlib.suppress(FileNotFoundError):
        os.rename(run.root, old)
    os.rename(fresh, run.root)
