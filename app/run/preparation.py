"""What a command requires of a run's directory before it works on the run."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from app.errors import SettingsError
from app.run.directory import Run, find_run
from app.run.files import read_object, write_text
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


def prepared_run(models_dir: Path, name: str, *, writable: bool = True) -> Run:
    """The run, which `prepare` must have made, and which can be written if it is to be. Raises SettingsError."""
    run = find_run(models_dir, name)
    missing = [path.name for path in (run.pipeline_config, run.label_map, run.dataset_card) if not path.is_file()]
    if missing:
        raise SettingsError(
            f"run {run.name} has no {missing[0]}",
            where=str(run.root),
            remedy="detbox prepare first, with the same --models_dir and --run",
        )
    unreadable = [path for path in (run.dataset_card, run.provenance) if path.exists() and not read_object(path)]
    if unreadable:
        raise SettingsError(
            "can't be read, and says what the run was prepared with",
            where=str(unreadable[0]),
            remedy="detbox prepare again, with the same flags",
        )
    if writable:
        _make_writable(run)
    return run


def _make_writable(run: Run) -> None:
    """Makes the run's directory and checks that it can be written. Raises SettingsError."""
    try:
        run.root.mkdir(parents=True, exist_ok=True)
        write_text(run.root / ".writable", "")
        (run.root / ".writable").unlink(missing_ok=True)  # Another service looks at the same moment.
    except OSError as error:
        raise SettingsError(
            f"can't be written: {error.strerror}",
            where=str(run.root),
            remedy=f"make it writable for user {os.getuid()}, or choose another: {flag('models_dir')}",
        ) from error
