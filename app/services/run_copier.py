"""The copying of a run while it goes on: a thread of the process that looks after it."""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from app.errors import DetboxError, SettingsError, Stopped
from app.humanize import format_bytes, format_count
from app.run import lock
from app.run.directory import Run, find_run
from app.run.provenance import settings_again
from app.run_copy.restore import is_missing, restore
from app.run_copy.state import read_state, write_state
from app.run_copy.store import CopyStore, Overtaken, Unreachable
from app.run_copy.upload import Copied, Uploader
from app.settings import Settings, flag
from app.training.stop import Interrupted

log = logging.getLogger(__name__)

NONE = "none"
TICK_SECONDS = 1.0
LAST_SECONDS = 12.0
"""For the last copy after a signal: what a container has left of 40 s when the trainer took its 25."""
STUCK_SECONDS = 90.0
"""For the last copy at an ordinary end, without a part that gets through."""
LOOK_AGAIN_SECONDS = 3600.0
"""Between looks at what is in the store: a rule of the bucket, or a hand, may have deleted parts."""
LONGEST_WAIT = 600.0
"""Seconds between attempts while the store can't be written."""


@contextlib.contextmanager
def kept_copy(settings: Settings, *, copies: bool = True) -> Iterator[None]:
    """Restores the run if it is not there, and copies it while the block runs, and once more after that.

    `copies`: False restores only. Does nothing without `sync_to`. Raises SettingsError before the block for a store
    that can't be used; later it only warns.
    """
    if not is_wanted(settings):
        yield
        return
    if settings.from_run:
        settings = settings_again(Path(settings.from_run), settings)
    run = find_run(settings.models_dir, settings.run_name)
    store = CopyStore(settings.sync_to, run.name)
    _refuse_within(run, store)
    _prepare_store(run, store)
    if not copies:
        yield
        return
    copier = RunCopier(run, store, settings.sync_every_secs)
    copier.start()
    try:
        yield
    except BaseException as error:
        is_signal = isinstance(error, (Stopped, Interrupted, KeyboardInterrupt))
        copier.finish(LAST_SECONDS if is_signal else float("inf"))
        raise
    copier.finish()


def is_wanted(settings: Settings) -> bool:
    """Whether the run is copied."""
    return settings.sync_to not in ("", NONE)


def _refuse_within(run: Run, store: CopyStore) -> None:
    if store.folder and (store.folder.is_relative_to(run.root) or run.root.is_relative_to(store.folder)):
        raise SettingsError(
            "is the run's own folder", where=str(store.folder), remedy=flag("sync_to", "another folder")
        )


def _prepare_store(run: Run, store: CopyStore) -> None:
    """Raises SettingsError, unless the store may come back and the run has what to go on from."""
    try:
        store.probe()
        if restored := restore(run, store):
            log.info("sync | %s | %s", store.where, restored)
    except Unreachable as error:
        if is_missing(run):
            raise
        log.warning("sync | %s", error)


class RunCopier:
    """Copies a run every so many seconds, and as soon as there is a new checkpoint, while no other process does."""

    def __init__(self, run: Run, store: CopyStore, every: float):
        self._run, self._store, self._every = run, store, every
        self._uploader = Uploader(run, store)
        self._ending = threading.Event()
        self._deadline = float("inf")
        self._failures = 0
        self._copied: Copied | None = None
        self._thread = threading.Thread(target=self._work, name="run copier", daemon=True)

    def start(self) -> None:
        """Begins to copy; never fails."""
        self._thread.start()

    def finish(self, within: float = float("inf")) -> None:
        """Copies once more, and says what that came to. `within`: seconds; else as long as it gets on."""
        self._deadline = time.monotonic() + within
        self._ending.set()
        sent, stuck = self._uploader.sent, time.monotonic() + STUCK_SECONDS
        while self._thread.is_alive() and time.monotonic() < min(self._deadline, stuck):
            self._thread.join(TICK_SECONDS)
            if sent != self._uploader.sent:
                sent, stuck = self._uploader.sent, time.monotonic() + STUCK_SECONDS
        if self._thread.is_alive():
            log.warning(
                "sync | the last copy was not finished in time | %s", read_state(self._run).describe(time.time())
            )

    def _work(self) -> None:
        while True:
            is_last = self._ending.is_set()
            # Nothing is left behind by a run that could not be prepared.
            if self._run.pipeline_config.exists():
                with contextlib.suppress(OSError), lock.try_file_lock(self._run.copy_lock) as is_mine:
                    if is_mine:
                        self._copy_on()
                        return
            # At an ordinary end, who holds the lock goes on.
            if is_last and (self._deadline == float("inf") or time.monotonic() > self._deadline):
                return
            time.sleep(TICK_SECONDS) if is_last else self._ending.wait(TICK_SECONDS)

    def _copy_on(self) -> None:
        """Copies until the end, and once more then."""
        due, seen, looked = 0.0, list[int](), float("-inf")
        while True:
            is_last, newest = self._ending.is_set(), self._run.checkpoint_steps()[-1:]
            if is_last or time.monotonic() >= due or (newest != seen and not self._failures):
                pause_until = time.monotonic() + self._every
                try:
                    if time.monotonic() > looked + LOOK_AGAIN_SECONDS:
                        self._uploader.begin()
                        looked = time.monotonic()
                    copied = self._uploader.copy(partial(self._is_late, pause_until, newest, is_last))
                    self._say_copied(copied, is_last)
                    seen, due = newest, pause_until if copied.complete else 0.0
                except Overtaken as error:
                    log.warning("sync | not copied from here: %s", error)
                    self._failures += 1
                    self._write_failure(str(error))
                    return
                except Exception as error:  # Whatever it is, training goes on.
                    looked = float("-inf")
                    due = time.monotonic() + min(self._every * 2**self._failures, LONGEST_WAIT)
                    self._say_failed(error, is_last)
            if is_last:
                return
            self._ending.wait(TICK_SECONDS)

    def _is_late(self, pause_until: float, newest: list[int], is_last: bool) -> bool:
        """Whether what can wait must: something more important has come."""
        if is_last:
            return time.monotonic() > self._deadline
        has_come = self._ending.is_set() or self._run.checkpoint_steps()[-1:] != newest
        return has_come or time.monotonic() > pause_until

    def _say_copied(self, copied: Copied, is_last: bool) -> None:
        if self._failures:
            log.info("sync | %s can be written again, after %d failures", self._store.where, self._failures)
        level = logging.INFO if is_last or self._copied is None else logging.DEBUG
        rest = "" if copied.complete else ", more to come"
        log.log(
            level,
            "sync | %s | step %d, %s, %s sent in %.1f s%s",
            self._store.where,
            copied.step,
            format_count(copied.files, "file"),
            format_bytes(copied.bytes),
            copied.seconds,
            rest,
        )
        self._copied, self._failures = copied, 0

    def _say_failed(self, error: Exception, is_last: bool) -> None:
        self._failures += 1
        reason = str(error) if isinstance(error, DetboxError) else f"{type(error).__name__}: {error}"
        self._write_failure(reason)
        if is_last:
            log.warning("sync | the last copy failed | %s", read_state(self._run).describe(time.time()))
        elif self._failures == 1:
            log.warning("sync | the run could not be copied, which is tried again while it goes on: %s", reason)

    def _write_failure(self, error: str) -> None:
        state = read_state(self._run, self._store.where)
        with contextlib.suppress(OSError):  # A full disk has its own error.
            write_state(self._run, dataclasses.replace(state, failures=self._failures, error=error[:300]))
