"""What people want of a run that has ended, copied to where they reach it."""

import os
import shutil
import tempfile
from pathlib import Path

from app.errors import SettingsError
from app.run.directory import Run
from app.settings import flag

REMEDY = f"another folder, or its owner: {flag('results_dir')} (compose: RESULTS_DIR, whose folder belongs to UID:GID)"


def check_folder(folder: Path) -> None:
    """Makes the folder. Raises SettingsError if it can't be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsError(
            f"the results can't be written: {error.strerror}", where=str(folder), remedy=REMEDY
        ) from None


def copy_results(run: Run, folder: Path) -> Path:
    """Copies report, drawn images, exports, best checkpoint and what they are read with to `folder/RUN`; returns that.

    It replaces a former copy as a whole. Raises OSError.
    """
    target = folder / run.name
    with tempfile.TemporaryDirectory(prefix=f".{run.name}-", dir=folder) as hidden:
        made = Path(hidden) / "new"
        made.mkdir()
        wanted = (run.report, run.detections, run.exports, run.best, run.label_map, run.pipeline_config)
        for path in (*wanted, run.evaluations, run.metrics, run.provenance):
            if path.is_dir():
                shutil.copytree(path, made / path.name, ignore=shutil.ignore_patterns(".*"))
            elif path.is_file():
                shutil.copy2(path, made / path.name)
        if target.exists():
            os.rename(target, Path(hidden) / "old")
        os.rename(made, target)
    return target
