"""`zoo fetch`: a model of the TF2 model zoo on this machine."""

import contextlib
import dataclasses
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.settings import Settings

logger = logging.getLogger(__name__)

LINE_SECONDS = 10.0
"""Between two lines on a download where there is no terminal."""


@dataclass(frozen=True)
class Fetched:
    """A model of the zoo on this machine. `new`: it was not there before. `sha256_of`: archive or folder."""

    name: str
    folder: str
    new: bool
    url: str = ""
    bytes: int = 0
    sha256: str = ""
    sha256_of: str = ""
    time: str = ""

    def __str__(self) -> str:
        words = f"{self.folder}{'' if self.new else ' (was there already)'}"
        if self.sha256:
            words += (
                f"\n{self.bytes / 1e6:.1f} MB from {self.url}\nsha256 of the {self.sha256_of} {self.sha256}, "
                "recorded at the first fetch: upstream publishes none to compare with"
            )
        return words


def run(settings: Settings) -> Fetched:
    """Brings the model that `model` names under `zoo_dir`; does nothing if it is there."""
    from app.pipeline.zoo import catalogue

    model = catalogue.get(settings.model)
    stored = _fetch(settings, model)
    known = {key: stored.record[key] for key in Fetched.__dataclass_fields__ if key in stored.record}
    return Fetched(**{**known, "name": model.name, "folder": str(stored.folder), "new": stored.is_new})


def resolved(settings: Settings) -> Settings:
    """The settings with every zoo name in them replaced by the model's folder, fetched if it is not there.

    A zoo's model starts from its own checkpoint unless another, or none, is asked for. Presets and paths come first.
    """
    from app.pipeline import origin

    given, changes = settings.fine_tune_checkpoint, {}
    if settings.model not in origin.presets() and (folder := _folder(settings, settings.model)):
        changes = {"model": folder, "fine_tune_checkpoint": given or folder}
    if folder := _folder(settings, given):
        changes["fine_tune_checkpoint"] = folder
    return dataclasses.replace(settings, **changes)


def zoo_dir(settings: Settings) -> Path:
    """The folder of the zoo's models. It is absolute, as it ends up in the pipeline.config."""
    return settings.models_dir.resolve() / settings.zoo_dir


def _folder(settings: Settings, name: str) -> str:
    from app.pipeline.zoo import catalogue

    model = None if not name or Path(name).exists() else catalogue.find(name)
    return str(_fetch(settings, model).folder) if model else ""


def _fetch(settings: Settings, model: Any) -> Any:
    from app.pipeline.zoo import store

    with _shown("fetching", model.name) as progress:
        stored = store.fetch(model, zoo_dir(settings), settings.zoo_mirror, progress=progress)
    if stored.is_new:
        logger.info("zoo | %s is in %s, sha256 %s", model.name, stored.folder, stored.record["sha256"])
    return stored


@contextlib.contextmanager
def _shown(title: str, name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left on a terminal, which appears with the first bytes; else a line an interval."""
    if not sys.stderr.isatty():
        yield _Lines(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, visible=False)
        yield lambda done, of: bar.update(task, completed=done, total=of or None, visible=True)


class _Lines:
    """Progress for logs. Called with (bytes here, bytes in all)."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic):
        self._name, self._clock = name, clock
        self._started: tuple[float, int] | None = None
        self._told = 0.0

    def __call__(self, done: int, of: int) -> None:
        now = self._clock()
        if self._started is None:
            self._started, self._told = (now, done), now
        if now - self._told < LINE_SECONDS:
            return
        self._told = now
        rate = (done - self._started[1]) / (now - self._started[0])
        left = f" of {of / 1e6:.1f} MB, {(of - done) / rate:.0f} s left" if of and rate else " MB"
        logger.info("zoo | %s: %.1f%s, %.1f MB/s", self._name, done / 1e6, left, rate / 1e6)
