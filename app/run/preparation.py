"""What a command requires of a run's directory before it works on the run."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.errors import SettingsError
from app.run.directory import Run, find_run
from app.run.files import read_json, write_text
from app.settings import flag


@contextlib.contextmanager
def new_directory(run: Run) -> Iterator[None]:
    """Makes the run's directory; if the block fails, removes it again unless it holds something."""
    _make_writable(run)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            run.root.rmdir()
        raise


def prepared_run(models_dir: Path, name: str) -> Run:
    """The run, which `prepare` must have made. Raises SettingsError."""
    run = find_run(models_dir, name)
    missing = [path.name for path in (run.pipeline_config, run.label_map, run.dataset_card) if not path.is_file()]
    if missing:
        raise SettingsError(
            f"run {run.name} has no {missing[0]}",
            where=str(run.root),
            remedy="detbox prepare first, with the same --models_dir and --run",
        )
    _make_writable(run)
    return run


def _make_writable(run: Run) -> None:
    """Makes the run's directory and checks that it can be written. Raises SettingsError."""
    try:
        run.root.mkdir(parents=True, exist_ok=True)
        write_text(run.root / ".writable", "")
        (run.root / ".writable").unlink()
    except OSError as error:
        raise SettingsError(
            f"can't be written: {error.strerror}",
            where=str(run.root),
            remedy=f"make it writable for user {os.getuid()}, or choose another: {flag('models_dir')}",
        ) from error


def finished_training(run: Run, steps: int) -> dict[str, Any] | None:
    """What DONE says, if training the run to `steps` has ended."""
    done = read_json(run.done)
    return done if done and (done["step"] >= steps or done.get("of") == steps) else None
