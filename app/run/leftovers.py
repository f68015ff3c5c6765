"""What processes that were killed have left between a run's checkpoints."""

import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from app.humanize import format_bytes, format_count
from app.run.directory import CHECKPOINT_PREFIX, Run
from app.run.files import LEFT_FOR_SECONDS

log = logging.getLogger(__name__)

SAVING = re.compile(r"\.saving-\d+-(?P<pid>\d+)")
"""The folder that a checkpoint is written into, of step and process (`object_detection.train_seam.Loop.save`)."""
STATE = re.compile(r"\.checkpoint-(?P<pid>\d+)")
"""The same of the list of checkpoints."""
STAGING = re.compile(r"\..+\.[a-z0-9_]{8}")
"""A file that is being written before it gets its name (`run.files.write_text`)."""


def clear_leftovers(run: Run) -> tuple[int, int]:
    """Removes saves and small files that were begun and not ended, and data without an index; how many, and bytes.

    Says so in the log.

    To be called by the process that holds the run as its trainer, before it saves. What another process that is alive
    may still be writing stays.
    """
    count = size = 0
    for path in [*_leftovers(run), *_unnamed_files(run)]:
        with contextlib.suppress(OSError):
            held = sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            count, size = count + 1, size + held
    if count:
        log.info(
            "train | removed %s of saves that were cut short (%s)", format_count(count, "leftover"), format_bytes(size)
        )
    return count, size


def _leftovers(run: Run) -> Iterator[Path]:
    begun = [(path, SAVING.fullmatch(path.name) or STATE.fullmatch(path.name)) for path in run.root.glob(".*")]
    at_work = False
    for path, match in begun:
        if match and _may_be_written(path, int(match["pid"])):
            at_work = True
        elif match:
            yield path
    if not at_work:
        # A save moves the index last, and retention removes it first.
        for path in run.root.glob(f"{CHECKPOINT_PREFIX}*.data-*"):
            if not path.with_name(f"{path.name.partition('.data-')[0]}.index").exists():
                yield path


def _unnamed_files(run: Run) -> Iterator[Path]:
    for folder in (run.root, run.status_dir, run.evaluation_details(0).parent):
        for path in folder.glob(".*"):
            with contextlib.suppress(FileNotFoundError):  # It has got its name.
                old = time.time() - path.stat().st_mtime > LEFT_FOR_SECONDS
                if old and path.is_file() and STAGING.fullmatch(path.name):
                    yield path


def _may_be_written(path: Path, pid: int) -> bool:
    """Whether the process `pid` lives, is not this one, and is older than what it would have written."""
    if pid == os.getpid():
        return False  # It has not saved yet. In a container every trainer has the same number.
    try:
        return psutil.Process(pid).create_time() <= path.stat().st_mtime + 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except (psutil.Error, OSError):
        return True
