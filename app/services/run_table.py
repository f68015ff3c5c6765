"""The table of runs: the state of each with its size on disk."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import SettingsError
from app.evaluation import promotion
from app.humanize import NOTHING_TO_MEASURE, format_bytes, format_time, short_metric
from app.run.directory import Run, find_run, find_runs
from app.run.files import bytes_under
from app.run.goodput import Goodput
from app.run.rollbacks import Rollback
from app.run_copy.state import CopyState, read_state
from app.services import run_state, up_process
from app.settings import flag
from app.terminal_table import as_text


@dataclass(frozen=True)
class RunStatus:
    """One run. Ages are in seconds; `stalled` names the services whose heartbeat is too old."""

    run: str
    step: int
    of: int
    done: str | None
    metric: str
    newest: run_state.Score | None
    best: run_state.Score | None
    trainer: str
    evaluator: str
    trainer_heartbeat_age: float | None
    evaluator_heartbeat_age: float | None
    stalled: list[str]
    checkpoints: list[int]
    bytes: int
    event_bytes: int
    event_budget: int
    serving: list[str]
    unmeasured: bool = False
    goodput: Goodput = field(default_factory=Goodput)
    rollbacks: list[Rollback] = field(default_factory=list)
    up: up_process.UpProcess | None = None
    """The `up` that works on it now."""
    copy: CopyState | None = None
    """Where its copy in an object store stands, if it has one."""


@dataclass(frozen=True)
class Status:
    """The runs under one models_dir."""

    models_dir: str
    runs: list[RunStatus]

    def __str__(self) -> str:
        if not self.runs:
            return f"no runs in {self.models_dir}"
        return _format_one(self.runs[0]) if len(self.runs) == 1 else _format_table(self.runs)


def read_table(models_dir: Path, name: str, metric: str) -> Status:
    """The status of the run `name`, or of all for an empty name, by `metric`; empty: what chooses each run's best.

    Raises SettingsError if there is no such run.
    """
    runs = [known_run(models_dir, name)] if name else find_runs(models_dir)
    return Status(str(models_dir), [_read_status(run, metric) for run in runs])


def known_run(models_dir: Path, name: str) -> Run:
    """The run `name`. Raises SettingsError, with the runs that there are, if there is no such run."""
    run = find_run(models_dir, name)
    if not run.root.is_dir():
        known = ", ".join(run.name for run in find_runs(models_dir)) or "none"
        raise SettingsError(f"there is no run {name} in {models_dir}", remedy=f"one of {known}: {flag('run', 'NAME')}")
    return run


def _read_status(run: Run, metric: str) -> RunStatus:
    metric = metric or run_state.chosen_metric(run)
    state = run_state.read_run_state(run, metric)
    now, beats = state.time, (state.trainer, state.evaluator)
    ages = [now - beat.time if beat.has_started else None for beat in beats]
    return RunStatus(
        run=run.name,
        step=state.step,
        of=state.of,
        done=(state.done or {}).get("reason"),
        metric=metric,
        newest=state.newest,
        best=state.best,
        trainer=state.trainer.describe(now),
        evaluator=state.evaluator.describe(now),
        trainer_heartbeat_age=ages[0],
        evaluator_heartbeat_age=ages[1],
        stalled=[beat.service for beat in beats if beat.is_stalled(now)],
        checkpoints=state.checkpoints,
        bytes=bytes_under(run.root),
        event_bytes=state.event_bytes,
        event_budget=state.event_budget,
        serving=promotion.describe_serving(run),
        unmeasured=state.unmeasured,
        goodput=state.goodput,
        rollbacks=state.rollbacks,
        up=up_process.find_up(run),
        copy=copy if (copy := read_state(run)).where else None,
    )


def _format_one(status: RunStatus) -> str:
    events = run_state.describe_events(status.event_bytes, status.event_budget)
    rows = [
        ("run", status.run),
        ("step", f"{status.step} of {status.of or '?'}" + (f", {status.done}" if status.done else "")),
        *_format_up(status.up),
        ("trainer", _with_age(status.trainer, status.trainer_heartbeat_age)),
        ("evaluator", _with_age(status.evaluator, status.evaluator_heartbeat_age)),
        (short_metric(status.metric), _format_scores(status)),
        ("checkpoints", ", ".join(map(str, status.checkpoints)) or "none"),
        *_format_history(status),
        *([("copy", status.copy.describe(time.time()))] if status.copy else []),
        *(("serves", version) for version in status.serving),
        ("on disk", f"{format_bytes(status.bytes)}, events {events}"),
    ]
    return "\n".join(f"{name:<11}  {value}" for name, value in rows)


def _format_up(up: up_process.UpProcess | None) -> list[tuple[str, str]]:
    if up is None:
        return []
    return [("up", up.describe(time.time())), *[("TensorBoard", up.tensorboard)] * bool(up.tensorboard)]


def _format_history(status: RunStatus) -> list[tuple[str, str]]:
    """Where the time went, and what went wrong."""
    found = [("goodput", status.goodput.describe())] if status.goodput.total else []
    if advice := status.goodput.describe_advice():
        found.append(("", advice))
    return found + [("rollback", str(rollback)) for rollback in status.rollbacks]


def _format_table(statuses: Sequence[RunStatus]) -> str:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    metrics = {short_metric(status.metric) for status in statuses}
    metric = metrics.pop() if len(metrics) == 1 else ""
    heads = ("run", "step", "up", "trainer", "evaluator", f"newest {metric}", f"best {metric}", "ckpts", "on disk")
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for status in statuses:
        cells = (
            status.run,
            f"{status.step}/{status.of or '?'}",
            ("background" if status.up.background else "terminal") if status.up else "",
            status.trainer,
            status.evaluator,
            _format_score(status.newest),
            _format_score(status.best) + ("" if metric else f" {short_metric(status.metric)}"),
            str(len(status.checkpoints)),
            format_bytes(status.bytes),
        )
        table.add_row(*map(Text, cells))
    return as_text(table)


def _format_scores(status: RunStatus) -> str:
    if status.unmeasured:
        return NOTHING_TO_MEASURE
    return f"newest {_format_score(status.newest)}, best {_format_score(status.best)}"


def _format_score(score: run_state.Score | None) -> str:
    return f"{score.value:.3f} @{score.step}" if score else "-"


def _with_age(text: str, age: float | None) -> str:
    return text if age is None else f"{text} (heartbeat {format_time(age)} ago)"
