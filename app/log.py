"""Where output goes: results to stdout, everything else to stderr, third parties' chatter to a file."""

import contextlib
import errno
import io
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from app.terminal_text import escape_controls

FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"
STAMPED, TIME = "%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"
"""Of lines in a file, where nobody sees them come."""
GONE = {errno.EIO, errno.EPIPE}
"""What writing to a terminal that was closed gives, and to a pipe that nobody reads any more."""
THIRD_PARTY = ("tensorflow", "absl", "py.warnings", "matplotlib", "PIL", "h5py", "tf_keras")


class OneLine(logging.Formatter):
    """A record as one line, whatever the names in it hold; only a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escape_controls(super().formatMessage(record))


def set_up(*, debug: bool = False, chatter_file: Path | None = None) -> None:
    """Sends detbox's own log lines (loggers under `app`) to stderr, with the time where that is a file.

    Third-party loggers go to `chatter_file` if there is one, else only errors of theirs are shown.
    """
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(OneLine(STAMPED, TIME) if _is_file(sys.stderr) else OneLine("%(message)s"))
    ours = logging.getLogger("app")
    ours.handlers[:] = [terminal]
    ours.setLevel(logging.DEBUG if debug else logging.INFO)
    ours.propagate = False

    root = logging.getLogger()
    if chatter_file is None:
        root.handlers[:] = [terminal]
        root.setLevel(logging.ERROR)
    else:
        chatter_file.parent.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(chatter_file, delay=True)
        to_file.setFormatter(OneLine(FORMAT))
        root.handlers[:] = [to_file]
        root.setLevel(logging.INFO)
    logging.captureWarnings(True)


def show_by(show: Callable[[str], None]) -> Callable[[], None]:
    """Has detbox's own log lines shown by `show`: a live view draws over what others write. Returns how to end it."""
    ours, before = logging.getLogger("app"), logging.getLogger("app").handlers[:]
    ours.handlers[:] = [_Shown(show)]
    return lambda: ours.handlers.__setitem__(slice(None), before)


class _Shown(logging.Handler):
    def __init__(self, show: Callable[[str], None]):
        super().__init__()
        self.setFormatter(OneLine("%(message)s"))
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._show(self.format(record))
        except Exception:
            self.handleError(record)


def quiet_native_output(chatter_file: Path) -> None:
    """Sends what native code writes to file descriptor 2 to `chatter_file`; Python's `sys.stderr` stays.

    TensorFlow's C++ start-up messages do not pass through any logger. Call it before TensorFlow is imported.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    chatter_file.parent.mkdir(parents=True, exist_ok=True)
    with open(chatter_file, "ab") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = _lasting_stream(kept, chatter_file, "utf-8", "backslashreplace")


def outlive_readers(fallback: Path) -> None:
    """Lets this process write on to `fallback` when the terminal or pipe of its stdout or stderr is gone."""
    for name, own in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
        if own is not None and own is getattr(sys, name):  # Not one that a test or a caller has put in its place.
            setattr(sys, name, _lasting_stream(own.fileno(), fallback, own.encoding, own.errors))


class _LastingOutput(io.RawIOBase):
    """The file descriptor `handle`, which becomes one of the file `fallback` when what it wrote to is gone."""

    def __init__(self, handle: int, fallback: Path):
        self._handle, self._fallback = handle, fallback

    def fileno(self) -> int:
        return self._handle

    def isatty(self) -> bool:
        return os.isatty(self._handle)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        text = bytes(data)
        try:
            return os.write(self._handle, text)
        except OSError as error:
            if error.errno not in GONE:
                raise
        self._move()
        # A panel's drawing is nothing for a log.
        return len(text) if b"\x1b" in text else os.write(self._handle, text)

    def _move(self) -> None:
        try:
            self._fallback.parent.mkdir(parents=True, exist_ok=True)
            target = os.open(self._fallback, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError:
            target = os.open(os.devnull, os.O_WRONLY)
        os.dup2(target, self._handle)
        os.close(target)


def _lasting_stream(handle: int, fallback: Path, encoding: str, errors: str | None) -> TextIO:
    binary = io.BufferedWriter(_LastingOutput(handle, fallback))
    return io.TextIOWrapper(binary, encoding=encoding, errors=errors, line_buffering=True)


@contextlib.contextmanager
def native_output_dropped() -> Iterator[None]:
    """Drops what is written to file descriptor 2 while TensorFlow is imported, unless a log takes it already."""
    if _is_elsewhere(sys.stderr):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _is_elsewhere(stream: TextIO) -> bool:
    """Whether Python's lines do not go to file descriptor 2, which then is a log's, or a test's."""
    try:
        return stream.fileno() != 2
    except (OSError, ValueError):
        return True
