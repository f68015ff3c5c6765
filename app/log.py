"""Where output goes: results to stdout, everything else to stderr, third parties' chatter to a file."""

import logging
import os
import sys
from pathlib import Path

FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"
THIRD_PARTY = ("tensorflow", "absl", "py.warnings", "matplotlib", "PIL", "h5py", "tf_keras")


def set_up(*, debug: bool = False, chatter_file: Path | None = None) -> None:
    """Sends detbox's own log lines (loggers under `app`) to stderr.

    Third-party loggers go to `chatter_file` if there is one, else only errors of theirs are shown.
    """
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(logging.Formatter("%(message)s"))
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
