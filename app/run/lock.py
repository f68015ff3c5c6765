"""Locks that the kernel takes from a process when it ends, however it ends."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from app.errors import SettingsError
from app.run.directory import Run
from app.settings import flag


@contextlib.contextmanager
def hold_service(run: Run, service: str) -> Iterator[None]:
    """Holds the run for this process as its only `service`. Raises SettingsError if another one holds it.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    refusal = SettingsError(
        f"another {service} works on this run",
        where=str(run.root),
        remedy=f"end that one first, or start another run: {flag('run', 'NAME')}",
    )
    with hold_lock(run.status(service).with_suffix(".lock"), refusal):
        yield


@contextlib.contextmanager
def hold_lock(path: Path, refusal: SettingsError, *, wait_secs: float = 0.0) -> Iterator[None]:
    """Holds the lock file `path` for this process. Raises `refusal` if another one holds it for longer than that.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_secs
    with open(path, "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise refusal from None
                time.sleep(0.2)
        yield
