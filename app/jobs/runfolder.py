"""The run that a command works on: found, claimed, and seen to be prepared."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app import runs
from app.errors import SettingsError
from app.settings import FIELDS, Settings


def find(settings: Settings) -> runs.Run:
    """The run that the settings name. Its paths are absolute: they end up in the pipeline.config."""
    return runs.find(settings.models_dir.resolve(), settings.run_name)


@contextlib.contextmanager
def claimed(run: runs.Run) -> Iterator[None]:
    """Makes the run's directory; if the block fails, it goes again unless something is in it."""
    _claim(run)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            run.root.rmdir()
        raise


def _claim(run: runs.Run) -> None:
    """Makes the run's directory and sees that it can be written. Raises SettingsError."""
    try:
        run.root.mkdir(parents=True, exist_ok=True)
        runs.write_text(run.root / ".writable", "")
        (run.root / ".writable").unlink()
    except OSError as error:
        raise SettingsError(
            f"can't be written: {error.strerror}",
            where=str(run.root),
            remedy=f"make it writable for user {os.getuid()}, or choose another: --models_dir / DETBOX_MODELS_DIR",
        ) from error


def prepared(settings: Settings) -> runs.Run:
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


def ended(run: runs.Run, steps: int) -> dict[str, Any] | None:
    """What DONE says, if training the run to `steps` has ended."""
    done = runs.read_json(run.done)
    return done if done and (done["step"] >= steps or done.get("of") == steps) else None


@contextlib.contextmanager
def held(run: runs.Run, service: str) -> Iterator[None]:
    """Holds the run for this process as its only `service`. Raises SettingsError if another one holds it.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    refusal = SettingsError(
        f"another {service} works on this run",
        where=str(run.root),
        remedy="end that one first, or start another run: --run=NAME / DETBOX_RUN",
    )
    with locked(run.status(service).with_suffix(".lock"), refusal):
        yield


@contextlib.contextmanager
def locked(path: Path, refusal: SettingsError, *, wait_secs: float = 0.0) -> Iterator[None]:
    """Holds the lock file `path` for this process. Raises `refusal` if another one holds it for longer than that.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_secs
    with open(path, "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise refusal from None
                time.sleep(0.2)
        yield
