"""The run that a command works on: found, claimed, and seen to be prepared."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from app.errors import SettingsError
from app.run.directory import Run, find_run
from app.run.files import read_json, write_text
from app.settings import FIELDS, Settings, flag


def find(settings: Settings) -> Run:
    """The run that the settings name. Its paths are absolute: they end up in the pipeline.config."""
    return find_run(settings.models_dir.resolve(), settings.run_name)


@contextlib.contextmanager
def claimed(run: Run) -> Iterator[None]:
    """Makes the run's directory; if the block fails, it goes again unless something is in it."""
    _claim(run)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            run.root.rmdir()
        raise


def _claim(run: Run) -> None:
    """Makes the run's directory and sees that it can be written. Raises SettingsError."""
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


def prepared(settings: Settings) -> Run:
    """The run, which `prepare` must have made."""
    run = find(settings)
    missing = [path.name for path in (run.pipeline_config, run.label_map, run.dataset_card) if not path.is_file()]
    if missing:
        raise SettingsError(
            f"run {run.name} has no {missing[0]}",
            where=str(run.root),
            remedy="detbox prepare first, with the same --models_dir and --run",
        )
    _claim(run)
    return run


def is_given(settings: Settings, name: str) -> bool:
    """Whether the setting has another value than its default."""
    return getattr(settings, name) != FIELDS[name].default


def ended(run: Run, steps: int) -> dict[str, Any] | None:
    """What DONE says, if training the run to `steps` has ended."""
    done = read_json(run.done)
    return done if done and (done["step"] >= steps or done.get("of") == steps) else None
