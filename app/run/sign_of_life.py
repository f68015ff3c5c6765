"""A service's sign of life: it touches its lock file while its process runs, whatever else it does."""

import contextlib
import faulthandler
import os
import sys
import threading
import time

from app.run.directory import Run

EVERY_SECONDS = 2.0


def give(run: Run, service: str) -> None:
    """Touches the lock file of `service`, which this process holds, in a thread of its own until the process ends.

    A process that is stopped, or whose interpreter hangs in native code, does not come to it. Who then aborts it, by
    SIGABRT, gets the stacks of its threads on stderr.
    """
    with contextlib.suppress(OSError):  # A stderr without a file descriptor.
        faulthandler.enable(sys.stderr)

    def loop() -> None:
        while True:
            with contextlib.suppress(OSError):  # The disk is full or gone: its own error says so.
                os.utime(run.service_lock(service))
            time.sleep(EVERY_SECONDS)

    threading.Thread(target=loop, name="sign of life", daemon=True).start()


def last(run: Run, service: str) -> int:
    """When `service` gave its last one, by the disk's clock: a figure to be compared with an earlier one. 0: never."""
    try:
        return os.stat(run.service_lock(service)).st_mtime_ns
    except OSError:
        return 0
