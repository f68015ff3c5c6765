"""Where output goes: results to stdout, everything else to stderr, third parties' chatter to a file."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from app.terminal_text import escape_controls

FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"
THIRD_PARTY = ("tensorflow", "absl", "py.warnings", "matplotlib", "PIL", "h5py", "tf_keras")


class OneLine(logging.Formatter):
    """A record as one line, whatever the names in it hold; only a traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escape_controls(super().formatMessage(record))


def set_up(*, debug: bool = False, chatter_file: Path | None = None) -> None:
    """Sends detbox's own log lines (loggers under `app`) to stderr.

    Third-party loggers go to `chatter_file` if there is one, else only errors of theirs are shown.
    """
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(OneLine("%(message)s"))
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
        to_file.setFormatter(logging.Formatter(FORMAT))
        root.handlers[:] = [to_file]
        root.setLevel(logging.INFO)
    logging.captureWarnings(True)


def quiet_native_output(chatter_file: Path) -> None:
    """Sends what native code writes to file descriptor 2 to `chatter_file`; Python's `sys.stderr` stays.

    TensorFlow's C++ start-up messages do not pass through any logger. Call it before TensorFlow is imported.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    chatter_file.parent.mkdir(parents=True, exist_ok=True)
    with open(chatter_file, "ab") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


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


def _is_elsewhere(stream: TextIO) -> bool:
    """Whether Python's lines do not go to file descriptor 2, which then is a log's, or a test's."""
    try:
        return stream.fileno() != 2
    except (OSError, ValueError):
        return True
