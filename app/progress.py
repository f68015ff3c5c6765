"""How far a long task is, on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
"""Called with (done, of)."""


@contextmanager
def shown(title: str, progress: Progress | None) -> Iterator[Progress]:
    """The caller's own `progress`, else a bar with the time left if stderr is a terminal, else silence."""
    if progress is not None:
        yield progress
    elif not sys.stderr.isatty():
        yield lambda done, of: None
    else:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import (
            Progress as Bar,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title)
            yield lambda done, of: bar.update(task, completed=done, total=of)
