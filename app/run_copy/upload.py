"""The copying of a run, pass by pass: what has changed is put beside what is there, then a manifest names it all."""

import dataclasses
import logging
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import SettingsError
from app.humanize import format_time
from app.run.directory import CHECKPOINT_STATE, Run, checkpoint_step
from app.run_copy.manifest import MOST_BYTES, PART_BYTES, CopiedFile, Manifest, parse, part_name, part_sizes
from app.run_copy.state import CopyState, read_state, write_state
from app.run_copy.store import CopyStore, Overtaken
from app.run_copy.units import Unit, iterate_units

log = logging.getLogger(__name__)

PARALLEL = 4
"""Parts on their way at a time, each of 8 MiB in memory."""
SETTLED_NS = 2_000_000_000
"""A file that was changed so shortly before it was read may be changed again without another time."""
FORGOTTEN_SECONDS = 86_400.0
"""Age from which a part that no manifest names was left by a process that was killed."""


class _Later(Exception):
    """What can wait is left for the next pass."""


@dataclass(frozen=True)
class Copied:
    """What a pass came to. `bytes`: sent by it; `complete`: nothing was left for the next."""

    step: int
    files: int
    bytes: int
    seconds: float
    complete: bool


def _never() -> bool:
    return False


class Uploader:
    """Copies one run to one store. For one thread; another process may do so after it, see `begin`."""

    def __init__(self, run: Run, store: CopyStore):
        self.run, self.store = run, store
        self.writer = ""
        """Known by this run's folder, wherever it is mounted."""
        self._manifest: Manifest | None = None
        self._version: dict[str, Any] | None = None
        self._read: dict[str, CopiedFile] = {}
        """Files as they were copied before, of those that can't have changed unnoticed."""
        self._held: dict[str, int] = {}
        """Parts that are in the store, with their bytes."""
        self._garbage: set[str] = set()
        """Parts that the manifest before did not name any more: who restores from an older one may still read them."""
        self._bytes = self.sent = 0
        """Bytes sent by this pass, and parts sent by all."""

    def begin(self) -> None:
        """Takes in what is in the store. Raises Overtaken if that is another folder's, which went on from this one.

        To be called again after another process has copied this run.
        """
        state = read_state(self.run, self.store.where)
        self.writer = state.writer or uuid.uuid4().hex
        write_state(self.run, dataclasses.replace(state, writer=self.writer))  # Before a manifest names it.
        found = self.store.read_manifest(MOST_BYTES)
        self._manifest = parse(found[0], self.store.where) if found else None
        self._version = found[1] if found else None
        self._refuse_overtaken(self._manifest)
        if self._manifest and self._manifest.writer != self.writer:
            log.warning(
                "sync | %s | replaces step %d of another folder of this run, copied on %s %s ago",
                self.store.where,
                self._manifest.step,
                self._manifest.host,
                format_time(max(time.time() - self._manifest.time, 0)),
            )
        listed = self.store.list_parts()
        named = self._manifest.parts() if self._manifest else set()
        is_ours = self._manifest is None or self._manifest.writer == self.writer
        # Another machine may be about to delete what its manifest does not name.
        self._held = {name: size for name, (size, _) in listed.items() if is_ours or name in named}
        old = time.time() - FORGOTTEN_SECONDS
        self._garbage = {name for name, (_, changed) in listed.items() if name not in named and changed < old}
        self._read = {}
        if self._manifest:
            settled = int(self._manifest.time * 1e9) - SETTLED_NS
            self._read = {file.path: file for file in self._manifest.files if file.mtime_ns < settled}

    def _refuse_overtaken(self, manifest: Manifest | None) -> None:
        """Raises Overtaken if the copy is of another folder that went on from this one, or came further."""
        if manifest is None or manifest.writer == self.writer:
            return
        step, state = max(self.run.checkpoint_steps(), default=0), read_state(self.run, self.store.where)
        if state.time or manifest.step > step:
            raise Overtaken(
                f"holds step {manifest.step} of another folder of this run, on {manifest.host}, and this one is at "
                f"step {step}",
                where=self.store.where,
                remedy=f"remove {self.run.root} to go on from the copy, or the copy to go on from here",
            )

    def copy(self, is_late: Callable[[], bool] = _never) -> Copied:
        """Copies what has changed; what can wait until `is_late()`. Raises SettingsError, Overtaken for good.

        What was copied before stays as it is until the new state is there.
        """
        started, began, self._bytes = time.time(), time.monotonic(), 0
        files: list[CopiedFile] = []
        waiting: list[Unit] = []
        for unit in iterate_units(self.run):
            if not unit.can_wait:
                files += self._copy_unit(unit, _never)
            elif (known := self._known_unit(unit)) is not None:
                files += known
            else:
                waiting.append(unit)
        self._publish(files, started)
        try:
            for unit in waiting:
                files += self._copy_unit(unit, is_late)
        except _Later:
            pass
        else:
            waiting = []
        self._publish(files, started)
        seconds, step = time.monotonic() - began, _newest(files)
        write_state(self.run, CopyState(where=self.store.where, writer=self.writer, step=step, time=started))
        return Copied(step, len(files), self._bytes, seconds, complete=not waiting)

    def _copy_unit(self, unit: Unit, is_late: Callable[[], bool]) -> list[CopiedFile]:
        """Its files, none if it was removed; as they were copied before if it was replaced meanwhile."""
        before = unit.identity()
        try:
            files = [self._copy_file(path, is_late) for path in unit.paths]
        except FileNotFoundError:
            files = []
        if files and unit.identity() == before:
            return files
        kept = self._manifest.files if self._manifest and unit.guard and unit.guard.exists() else ()
        return [file for file in kept if file.path.startswith((f"{unit.name}/", f"{unit.name}."))]

    def _copy_file(self, path: Path, is_late: Callable[[], bool]) -> CopiedFile:
        name = self._name(path)
        with open(path, "rb") as file:
            stat = os.fstat(file.fileno())
            if known := self._known_file(name, stat):
                return known
            reading, parts, sending = time.time_ns(), list[str](), deque[Future[None]]()
            # What comes after is for the next pass: a log is whole at every length.
            for data in _read_parts(file, stat.st_size):
                if is_late():
                    raise _Later
                parts.append(part_name(data))
                if self._held.get(parts[-1]) != len(data):
                    sending.append(self._send(parts[-1], data))
                while len(sending) >= PARALLEL:
                    sending.popleft().result()
            for future in sending:
                future.result()
            size = min(stat.st_size, file.tell())
            self._held.update(zip(parts, part_sizes(size), strict=True))
        copied = CopiedFile(name, size, stat.st_mtime_ns, tuple(parts))
        if stat.st_mtime_ns < reading - SETTLED_NS:
            self._read[name] = copied
        return copied

    def _known_unit(self, unit: Unit) -> list[CopiedFile] | None:
        """Its files if they have all been copied as they are now."""
        try:
            found = [self._known_file(self._name(path), path.stat()) for path in unit.paths]
        except FileNotFoundError:
            return None
        files = [file for file in found if file]
        return files if len(files) == len(found) else None

    def _known_file(self, name: str, stat: os.stat_result) -> CopiedFile | None:
        known = self._read.get(name)
        if known is None or (known.size, known.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            return None
        sizes = part_sizes(known.size)
        return (
            known if all(self._held.get(part) == size for part, size in zip(known.parts, sizes, strict=True)) else None
        )

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.run.root))

    def _send(self, name: str, data: bytes) -> "Future[None]":
        self._bytes, self.sent = self._bytes + len(data), self.sent + 1
        return self.store.start_put(name, data)

    def _publish(self, files: list[CopiedFile], started: float) -> None:
        """Has the manifest name `files`, unless it does; then deletes what the one before the last one named."""
        step, before = _newest(files), self._manifest
        if not any(checkpoint_step(file.path.removesuffix(".index")) is not None for file in files):
            # It names checkpoints that were not there yet when it was their turn.
            files = [file for file in files if file.path != CHECKPOINT_STATE]
        if before and before.writer == self.writer and set(before.files) == set(files):
            return
        if before and before.step and not step:
            # Whatever took them from this disk must not take the copy along.
            raise SettingsError(f"has lost its checkpoints, the copy has step {before.step}", where=str(self.run.root))
        generation = before.generation + 1 if before else 1
        manifest = Manifest(tuple(files), generation, step, started, self.writer, socket.gethostname())
        data = manifest.serialize()
        try:
            self._version = self.store.replace_manifest(data, self._version)
        except Overtaken:
            found = self.store.read_manifest(MOST_BYTES)
            if found is None or found[0] != data:
                self._refuse_overtaken(parse(found[0], self.store.where) if found else None)
                raise SettingsError("was changed by another process", where=self.store.where) from None
            self._version = found[1]  # It was written, its answer lost, and it was sent again.
        named = manifest.parts()
        dropped = self._garbage - named
        self._garbage = before.parts() - named if before else set()
        self._manifest = manifest
        self.store.delete_parts(sorted(dropped))
        for name in dropped:
            self._held.pop(name, None)


def _read_parts(file: Any, size: int) -> Iterator[bytes]:
    left = size
    while left and (data := file.read(min(PART_BYTES, left))):
        left -= len(data)
        yield data


def _newest(files: list[CopiedFile]) -> int:
    """The step of the newest checkpoint among them, 0 without any."""
    steps = [checkpoint_step(file.path.removesuffix(".index")) for file in files if file.path.endswith(".index")]
    return max((step for step in steps if step is not None), default=0)
