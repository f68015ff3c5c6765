"""What can be said of the training input from outside TensorFlow: which record files are open, and which answer."""

import threading
import time
from collections.abc import Sequence

import psutil

from app.humanize import format_count, list_names

PROBE_SECONDS = 3.0
"""In which a file gives its first byte, or does not answer: it is in the page cache, or a disk away."""
NAMED = 5


def describe_input(paths: Sequence[str]) -> list[str]:
    """A line for each of the record files `paths` that is open, with the byte it is read at; those that can't be read.

    Takes `PROBE_SECONDS` at most; threads that read from a disk that hangs are left behind.
    """
    reading = {file.path: getattr(file, "position", None) for file in psutil.Process().open_files()}
    lines = [f"{path} is read at byte {reading[path]}" for path in paths if path in reading]
    answers: dict[str, str] = {}
    threads = [threading.Thread(target=_probe, args=(path, answers), daemon=True) for path in paths]
    for thread in threads:
        thread.start()
    until = time.monotonic() + PROBE_SECONDS
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))
    silent = [path for path in paths if path not in answers]
    if silent:
        lines.append(
            f"{len(silent)} of {format_count(len(paths), 'file')} without an answer: {list_names(silent, NAMED)}"
        )
    faults = [f"{path}: {why}" for path, why in answers.items() if why]
    lines += faults[:NAMED]
    if not silent and not faults:
        lines.append(f"the first byte of each of {format_count(len(paths), 'record file')} can be read")
    return lines


def _probe(path: str, answers: dict[str, str]) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
        answers[path] = ""
    except OSError as error:
        answers[path] = error.strerror or str(error)
