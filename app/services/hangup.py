"""SIGHUP, told apart: the end of this process's terminal, which it outlives, or one that someone sent to it."""

import os
import signal
import time
from types import FrameType

CLOSING_SECONDS = 2.0
"""A shell that ends tells its jobs so a moment before its terminal is gone."""
REPEAT_SECONDS = 10.0
"""The kernel and the shell each send SIGHUP for the same end of a terminal."""
TICK_SECONDS = 0.02


class Hangup:
    """The terminal that this process was started in, if any, and whether it has been closed since."""

    def __init__(self) -> None:
        self._has_terminal = has_terminal()
        self._closed_at: float | None = None

    @property
    def has_closed(self) -> bool:
        return self._closed_at is not None

    def listen(self) -> None:
        """Leaves every other SIGHUP to the handler that there was; one that is ignored (`nohup`) stays so."""
        handler = signal.getsignal(signal.SIGHUP)

        def catch(number: int, frame: FrameType | None) -> None:
            if not self.is_outlived(number) and callable(handler):
                handler(number, frame)

        if callable(handler):
            signal.signal(signal.SIGHUP, catch)

    def is_outlived(self, number: int) -> bool:
        """Whether the signal that has just come tells that the terminal is closed, and no more."""
        if number != signal.SIGHUP:
            return False
        if self._closed_at is not None:
            return time.monotonic() < self._closed_at + REPEAT_SECONDS
        if self._has_terminal and _closes():
            self._closed_at = time.monotonic()
        return self.has_closed


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _closes() -> bool:
    until = time.monotonic() + CLOSING_SECONDS
    while has_terminal():
        if time.monotonic() > until:
            return False
        time.sleep(TICK_SECONDS)
    return True
