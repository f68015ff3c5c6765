"""How far a long task is: a bar on a terminal, a log line an interval elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.humanize import format_bytes, format_time
from app.terminal_text import escape_controls

Progress = Callable[[int, int], None]
"""Called with (done, of); `of` is 0 where the whole is not known."""

LINE_SECONDS = 15.0
logger = logging.getLogger(__name__)


@contextmanager
def shown(title: str, progress: Progress | None = None, *, in_units_of_bytes: bool = False) -> Iterator[Progress]:
    """The caller's own `progress`, else a bar with the time left if stderr is a terminal, else log lines."""
    if progress is not None:
        yield progress
    elif not sys.stderr.isatty():
        yield Lines(title, in_units_of_bytes=in_units_of_bytes)
    else:
        from rich import progress as rich
        from rich.console import Console

        figures = (
            (rich.DownloadColumn(), rich.TransferSpeedColumn()) if in_units_of_bytes else (rich.MofNCompleteColumn(),)
        )
        columns = (
            rich.TextColumn("{task.description}", markup=False),
            rich.BarColumn(),
            *figures,
            rich.TimeRemainingColumn(),
        )
        with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(escape_controls(title), visible=False)
            yield lambda done, of: bar.update(task, completed=done, total=of or None, visible=True)


@contextmanager
def live(title: str) -> Iterator[Callable[[str], None]]:
    """One line that says what is being done, given to it whenever that is looked at; else a log line an interval."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.status import Status
        from rich.text import Text

        with Status(Text(escape_controls(title)), console=Console(stderr=True)) as status:
            yield lambda doing: status.update(Text(escape_controls(f"{title} | {doing}")))
        return
    logged_at = time.monotonic()

    def log(doing: str) -> None:
        nonlocal logged_at
        if time.monotonic() - logged_at >= LINE_SECONDS:
            logged_at = time.monotonic()
            logger.info("%s | %s", title, doing)

    yield log


class Lines:
    """Progress for logs: a line every `LINE_SECONDS` with the time left, at the rate since the first call."""

    def __init__(
        self, title: str, *, in_units_of_bytes: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._title, self._clock = title, clock
        self._format: Callable[[float], str] = format_bytes if in_units_of_bytes else "{:.0f}".format
        self._started_at = self._logged_at = clock()
        self._started_with: int | None = None

    def __call__(self, done: int, of: int) -> None:
        now = self._clock()
        if self._started_with is None:
            self._started_with = 0 if self._format is not format_bytes else done
        if now - self._logged_at < LINE_SECONDS:
            return
        self._logged_at = now
        rate = (done - self._started_with) / (now - self._started_at)
        whole = f" of {self._format(of)}" if of else ""
        speed = f" | {format_bytes(rate)}/s" if self._format is format_bytes else ""
        left = f" | {format_time((of - done) / rate)} left" if of and rate else ""
        logger.info("%s | %s%s%s%s", self._title, self._format(done), whole, speed, left)
