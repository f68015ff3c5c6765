"""The first moment of the process: until its modules are imported, a signal ends it in one line."""

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType


def main() -> int:
    """What the console script runs. Returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as after `nohup`
            signal.signal(number, _end)
    from entrypoint import process

    return process.main()


def run(arguments: Sequence[str]) -> int:
    """Runs one command line in this process, whose signals are left alone; returns its exit code."""
    from entrypoint import process

    return process.run(arguments)


def _end(number: int, frame: FrameType | None) -> None:
    # No exception: in the middle of an import, it comes out as any other or not at all.
    with contextlib.suppress(OSError):
        os.write(2, f"detbox: stopped: {signal.Signals(number).name} before anything was begun\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
