"""The evaluator's own links to a checkpoint, which retention may delete meanwhile."""

import contextlib
import os
import shutil
from pathlib import Path

from app.checkpoint import files_of
from app.run.directory import Run


def pin_checkpoint(run: Run, step: int) -> Path | None:
    """Links the checkpoint of `step` into a hidden folder; its prefix there, or None if it was deleted.

    Its files are hard links, which take no time or space, or copies on a file system without them.
    """
    unpin_checkpoint(run)
    run.pinned_checkpoint.mkdir(parents=True)
    prefix = run.checkpoint(step)
    # Retention deletes the index first: data that was linked before it is complete.
    for path in files_of(prefix):
        try:
            _link(path, run.pinned_checkpoint / path.name)
        except FileNotFoundError:
            unpin_checkpoint(run)
            return None
    return run.pinned_checkpoint / prefix.name


def unpin_checkpoint(run: Run) -> None:
    """Removes the links of this process, or of one that was killed."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(run.pinned_checkpoint)


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(path, target)
