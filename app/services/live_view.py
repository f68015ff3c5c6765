"""The live view of a run: a panel that is redrawn on a terminal, a line an interval elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Protocol, TextIO

from app.humanize import in_bytes, in_time, short
from app.services.run_state import RunState, ServiceState


class View(Protocol):
    """What the supervisor shows a run with."""

    def show(self, standing: RunState, services: Mapping[str, str]) -> None:
        """Takes one look at the run; `services` maps each service to a word on its process."""

    def say(self, text: str) -> None:
        """Tells one thing that happened."""

    def close(self) -> None:
        """Leaves the terminal in order."""


class Lines:
    """For pipes and logs: a line when `interval` seconds have gone by and something has advanced."""

    def __init__(self, stream: TextIO, interval: float = 10.0):
        self.stream, self.interval = stream, interval
        self._due, self._shown, self._newest = 0.0, "", ""

    def show(self, standing: RunState, services: Mapping[str, str]) -> None:
        self._newest = line(standing)
        if time.monotonic() >= self._due:
            self._tell()

    def _tell(self) -> None:
        if self._newest != self._shown:
            self._due, self._shown = time.monotonic() + self.interval, self._newest
            self.say(self._newest)

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        self._tell()


class Panel:
    """For a terminal: the whole standing, redrawn in place."""

    def __init__(self, console):
        from rich.live import Live

        self._console = console
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def show(self, standing: RunState, services: Mapping[str, str]) -> None:
        # Not the whole width: a terminal's echo of ^C would wrap, and the next drawing be a line too low.
        self._live.update(panel(standing, services, self._console.width - 4), refresh=True)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


def view(stream: TextIO = sys.stderr) -> View:
    """The view that suits `stream`."""
    from rich.console import Console

    console = Console(file=stream)
    return Panel(console) if console.is_terminal and not console.is_dumb_terminal else Lines(stream)


def line(standing: RunState) -> str:
    """One line: `train | step 120/900 | loss 0.812 | lr 0.021 | 7.1 steps/s | eta 1:49 | mAP 0.31 @100`."""
    parts = ["train", f"step {standing.step}/{standing.of or '?'}", *_figures(standing)]
    if standing.newest:
        parts.append(f"{short(standing.metric)} {standing.newest.value:.3f} @{standing.newest.step}")
    for beat in (standing.trainer, standing.evaluator):
        if beat.state not in ("training", "evaluating", "waiting"):
            parts.append(f"{beat.service} {beat.state}")
    parts.append(f"events {in_bytes(standing.event_bytes)}")
    return " | ".join(parts)


def panel(standing: RunState, services: Mapping[str, str], width: int | None = None):
    """The standing as a renderable of rich, `width` columns wide."""
    from rich import box
    from rich.console import Group
    from rich.panel import Panel as Frame
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    progress = Table.grid(padding=(0, 2))
    progress.add_row(
        Text(f"step {standing.step} of {standing.of or '?'}", style="bold"),
        ProgressBar(total=max(standing.of, 1), completed=standing.step, width=30),
    )
    figures = Text(" · ".join(_figures(standing)))
    scores = Table.grid(padding=(0, 2))
    scores.add_row(Text(short(standing.metric), style="bold"), Text(_scores(standing)))
    scores.add_row(Text("events", style="bold"), Text(f"{in_bytes(standing.event_bytes)} on disk"))
    states = Table.grid(padding=(0, 2))
    for name, text in services.items():
        states.add_row(Text(name, style="bold"), Text(text, style="red" if "ended with" in text else ""))
    return Frame(
        Group(progress, figures, scores, Text(), states),
        title=Text(f"detbox · {standing.run}"),
        title_align="left",
        box=box.ROUNDED,
        width=width,
    )


def describe(beat: ServiceState, now: float) -> str:
    """A service's state in words: `waiting: for the checkpoint of step 200 (12 s)`."""
    if beat.is_stalled(now):
        return f"stalled: {beat.state}, but not heard of for {in_time(now - beat.time)}"
    text = f"{beat.state}: {beat.reason}" if beat.reason else beat.state
    if beat.state == "waiting" and beat.since:
        text += f" ({in_time(now - beat.since)})"
    return text


def _figures(standing: RunState) -> list[str]:
    row, parts = standing.row, []
    if isinstance(row.get("loss"), (int, float)):
        parts.append(f"loss {row['loss']:.3f}")
    if isinstance(row.get("learning_rate"), (int, float)):
        parts.append(f"lr {row['learning_rate']:.3g}")
    if isinstance(row.get("steps_per_sec"), (int, float)):
        parts.append(f"{row['steps_per_sec']:.1f} steps/s")
    if standing.eta_seconds and standing.trainer.state == "training":
        parts.append(f"eta {in_time(standing.eta_seconds)}")
    return parts


def _scores(standing: RunState) -> str:
    if not (standing.newest and standing.best):
        return "none yet"
    best = f"best {standing.best.value:.3f} at step {standing.best.step}"
    return f"{standing.newest.value:.3f} at step {standing.newest.step} · {best}"
