"""Locks that the kernel takes from a process when it ends, however it ends."""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from app.errors import SettingsError
from app.run.directory import Run
from app.settings import flag

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.2
GLANCE_SECONDS = 1.0
"""Who asks whether a lock is held has it for a moment, so that one failure to take it means nothing."""


def hold_service(run: Run, service: str) -> contextlib.AbstractContextManager[None]:
    """Holds the run for this process as its only `service`. Raises SettingsError if another one holds it."""
    refusal = SettingsError(
        f"another {service} works on this run",
        where=str(run.root),
        remedy=f"end that one first, or start another run: {flag('run', 'NAME')}",
    )
    return hold_lock(run.service_lock(service), refusal, wait_secs=GLANCE_SECONDS)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file `path`; it is not made for the question."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:  # There is none, or the file system has no locks.
        return False


@contextlib.contextmanager
def hold_lock(
    path: Path, refusal: SettingsError | None, *, wait_secs: float = 0.0, wait_for: str = ""
) -> Iterator[None]:
    """Holds the lock file `path` for this process; `refusal` None waits for ever.

    Raises `refusal` if another process holds it for longer than `wait_secs`. A wait is logged once, with `wait_for`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_secs
    with open(path, "w") as file:
        while not _take(file.fileno()):
            if refusal and time.monotonic() >= until:
                raise refusal
            if wait_for:
                logger.info("waiting for %s", wait_for)
                wait_for = ""
            time.sleep(RETRY_SECONDS)
        yield


@contextlib.contextmanager
def try_file_lock(path: Path) -> Iterator[bool]:
    """Whether this process holds the lock file `path`, which is made, while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        yield _take(file.fileno())


@contextlib.contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Whether this process holds the lock of `folder` while the block runs: no other does, and it can be locked."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            is_held = _take(handle)
        except OSError:  # A file system without locks.
            is_held = False
        yield is_held
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    """Takes the lock of an open file, or returns False if another process has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
