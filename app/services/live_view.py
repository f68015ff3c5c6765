"""The live view of a run: a panel that is redrawn on a terminal, a line an interval elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

from app.humanize import NOTHING_TO_MEASURE, format_time, short_metric
from app.services.run_state import RunState, describe_events
from app.terminal_text import escape_controls, escape_parts

if TYPE_CHECKING:
    from rich.console import Console
    from rich.panel import Panel as Frame


class View(Protocol):
    """What the supervisor shows a run with."""

    def show(self, state: RunState, services: Mapping[str, str]) -> None:
        """Shows the run as it is now; `services` maps each service to the state of its process."""

    def print(self, text: str) -> None:
        """Prints a line on one thing that happened."""

    def close(self) -> None:
        """Restores the terminal."""


class Lines:
    """For pipes and logs: a line when `interval` seconds have gone by and something has advanced."""

    def __init__(self, stream: TextIO, interval: float = 10.0):
        self.stream, self.interval = stream, interval
        self._due, self._shown, self._newest = 0.0, "", ""

    def show(self, state: RunState, services: Mapping[str, str]) -> None:
        self._newest = format_line(state)
        if time.monotonic() >= self._due:
            self._print_newest()

    def _print_newest(self) -> None:
        if self._newest != self._shown:
            self._due, self._shown = time.monotonic() + self.interval, self._newest
            self.print(self._newest)

    def print(self, text: str) -> None:
        print(escape_controls(text), file=self.stream, flush=True)

    def close(self) -> None:
        self._print_newest()


class Panel:
    """For a terminal: the whole state, redrawn in place."""

    def __init__(self, console: "Console"):
        from rich.live import Live

        self._console = console
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def show(self, state: RunState, services: Mapping[str, str]) -> None:
        # Not the whole width: a terminal's echo of ^C would wrap, and the next drawing be a line too low.
        self._live.update(build_panel(state, services, self._console.width - 4), refresh=True)

    def print(self, text: str) -> None:
        self._console.print(escape_controls(text), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._live.stop()


def open_view(stream: TextIO = sys.stderr) -> View:
    """The view that suits `stream`."""
    from rich.console import Console

    console = Console(file=stream)
    return Panel(console) if console.is_terminal and not console.is_dumb_terminal else Lines(stream)


def is_obsolete(view: View, stream: TextIO) -> bool:
    """Whether `stream` was a terminal when its view was opened, and is none any more."""
    return isinstance(view, Panel) and not stream.isatty()


def format_line(state: RunState) -> str:
    """One line: `train | step 120/900 | loss 0.812 | lr 0.021 | 7.1 steps/s | eta 1:49 | mAP 0.31 @100`."""
    parts = ["train", f"step {state.step}/{state.of or '?'}", *_figures(state)]
    if state.newest:
        parts.append(f"{short_metric(state.metric)} {state.newest.value:.3f} @{state.newest.step}")
    elif state.unmeasured:
        parts.append(f"{short_metric(state.metric)}: {NOTHING_TO_MEASURE}")
    for beat in (state.trainer, state.evaluator):
        if beat.state not in ("training", "evaluating", "waiting"):
            parts.append(f"{beat.service} {beat.state}")
    parts.append(f"events {describe_events(state.event_bytes, state.event_budget)}")
    return " | ".join(parts)


def build_panel(state: RunState, services: Mapping[str, str], width: int | None = None) -> "Frame":
    """The state as a panel of rich, `width` columns wide."""
    state, services = escape_parts(state), escape_parts(dict(services))
    from rich import box
    from rich.console import Group
    from rich.panel import Panel as Frame
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    progress = Table.grid(padding=(0, 2))
    progress.add_row(
        Text(f"step {state.step} of {state.of or '?'}", style="bold"),
        ProgressBar(total=max(state.of, 1), completed=state.step, width=30),
    )
    figures = Text(" · ".join(_figures(state)))
    scores = Table.grid(padding=(0, 2))
    scores.add_row(Text(short_metric(state.metric), style="bold"), Text(_scores(state)))
    scores.add_row(Text("events", style="bold"), Text(describe_events(state.event_bytes, state.event_budget)))
    states = Table.grid(padding=(0, 2))
    for name, text in services.items():
        states.add_row(Text(name, style="bold"), Text(text, style="red" if "ended with" in text else ""))
    return Frame(
        Group(progress, figures, scores, Text(), states),
        title=Text(f"detbox · {state.run}"),
        title_align="left",
        box=box.ROUNDED,
        width=width,
    )


def _figures(state: RunState) -> list[str]:
    row, parts = state.row, []
    if isinstance(row.get("loss"), (int, float)):
        parts.append(f"loss {row['loss']:.3f}")
    if isinstance(row.get("learning_rate"), (int, float)):
        parts.append(f"lr {row['learning_rate']:.3g}")
    if isinstance(row.get("steps_per_sec"), (int, float)):
        parts.append(f"{row['steps_per_sec']:.1f} steps/s")
    if state.eta_seconds and state.trainer.state == "training":
        parts.append(f"eta {format_time(state.eta_seconds)}")
    return parts


def _scores(state: RunState) -> str:
    if not (state.newest and state.best):
        return NOTHING_TO_MEASURE if state.unmeasured else "none yet"
    best = f"best {state.best.value:.3f} at step {state.best.step}"
    return f"{state.newest.value:.3f} at step {state.newest.step} · {best}"
