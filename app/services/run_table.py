"""The table of runs: where each stands, whether its services live, what it takes on disk."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import SettingsError
from app.evaluation import promotion
from app.humanize import in_bytes, in_time, short
from app.run.directory import Run, find_run, is_run_name
from app.services import live_view, run_state


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
    serving: list[str]


@dataclass(frozen=True)
class Status:
    """The runs under one models_dir."""

    models_dir: str
    runs: list[RunStatus]

    def __str__(self) -> str:
        if not self.runs:
            return f"no runs in {self.models_dir}"
        return _detail(self.runs[0]) if len(self.runs) == 1 else _table(self.runs)


def read(models_dir: Path, name: str, metric: str) -> Status:
    """The status of the run `name`, or of all for an empty name.

    Raises SettingsError if there is no such run.
    """
    if name and not find_run(models_dir, name).root.is_dir():
        known = ", ".join(run.name for run in _all(models_dir)) or "none"
        raise SettingsError(f"there is no run {name} in {models_dir}", remedy=f"--run=NAME; there are: {known}")
    chosen = [find_run(models_dir, name)] if name else _all(models_dir)
    return Status(str(models_dir), [_read(run, metric) for run in chosen])


def _all(models_dir: Path) -> list[Run]:
    """Every run under `models_dir`: a folder with a pipeline.config or a heartbeat."""
    if not models_dir.is_dir():
        return []
    named = [path for path in sorted(models_dir.iterdir()) if is_run_name(path.name) and path.is_dir()]
    candidates = [Run(path) for path in named]
    return [run for run in candidates if run.pipeline_config.exists() or run.status_dir.exists()]


def _read(run: Run, metric: str) -> RunStatus:
    now = run_state.read_run_state(run, metric)
    beats = (now.trainer, now.evaluator)
    ages = [now.time - beat.time if beat.time else None for beat in beats]
    return RunStatus(
        run=run.name,
        step=now.step,
        of=now.of,
        done=(now.done or {}).get("reason"),
        metric=metric,
        newest=now.newest,
        best=now.best,
        trainer=live_view.describe(now.trainer, now.time),
        evaluator=live_view.describe(now.evaluator, now.time),
        trainer_heartbeat_age=ages[0],
        evaluator_heartbeat_age=ages[1],
        stalled=[beat.service for beat in beats if beat.is_stalled(now.time)],
        checkpoints=now.checkpoints,
        bytes=run_state.size(run.root),
        event_bytes=now.event_bytes,
        serving=promotion.serving_of(run),
    )


def _detail(status: RunStatus) -> str:
    rows = [
        ("run", status.run),
        ("step", f"{status.step} of {status.of or '?'}" + (f", {status.done}" if status.done else "")),
        ("trainer", _with_age(status.trainer, status.trainer_heartbeat_age)),
        ("evaluator", _with_age(status.evaluator, status.evaluator_heartbeat_age)),
        (short(status.metric), f"newest {_score(status.newest)}, best {_score(status.best)}"),
        ("checkpoints", ", ".join(map(str, status.checkpoints)) or "none"),
        *(("serves", words) for words in status.serving),
        ("on disk", f"{in_bytes(status.bytes)}, events {in_bytes(status.event_bytes)}"),
    ]
    return "\n".join(f"{name:<11}  {value}" for name, value in rows)


def _table(statuses: Sequence[RunStatus]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    metric = short(statuses[0].metric)
    heads = ("run", "step", "trainer", "evaluator", f"newest {metric}", f"best {metric}", "ckpts", "on disk")
    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for status in statuses:
        cells = (
            status.run,
            f"{status.step}/{status.of or '?'}",
            status.trainer,
            status.evaluator,
            _score(status.newest),
            _score(status.best),
            str(len(status.checkpoints)),
            in_bytes(status.bytes),
        )
        table.add_row(*map(Text, cells))
    page = io.StringIO()
    Console(file=page, width=160, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n")


def _score(score: run_state.Score | None) -> str:
    return f"{score.value:.3f} @{score.step}" if score else "-"


def _with_age(text: str, age: float | None) -> str:
    return text if age is None else f"{text} (heartbeat {in_time(age)} ago)"
