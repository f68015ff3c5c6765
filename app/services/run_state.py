"""The state of a run, as read from its directory alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.evaluation import selection
from app.humanize import format_bytes
from app.run import provenance
from app.run.directory import Run
from app.run.evaluations import evaluated_steps, read_best, read_evaluations
from app.run.files import bytes_under
from app.run.goodput import Goodput, read_goodput
from app.run.heartbeat import Heartbeat
from app.run.metrics import newest_metrics
from app.run.rollbacks import Rollback, read_rollbacks
from app.run.run_end import read_done
from app.settings import FIELDS


@dataclass(frozen=True)
class Score:
    """A checkpoint's value of the metric that selects the best."""

    step: int
    value: float


@dataclass(frozen=True)
class RunState:
    """A run at one moment.

    `row`: the newest line of metrics.jsonl; `done`: what DONE says; `time`: when it was read, Unix seconds.
    `unmeasured`: checkpoints were evaluated, and there was nothing to measure by `metric`.
    """

    run: str
    step: int
    of: int
    row: dict[str, Any] = field(repr=False)
    newest: Score | None
    best: Score | None
    metric: str
    trainer: Heartbeat
    evaluator: Heartbeat
    checkpoints: list[int]
    event_bytes: int
    event_budget: int
    done: dict[str, Any] | None
    time: float
    unmeasured: bool = False
    goodput: Goodput = field(default_factory=Goodput, repr=False)
    rollbacks: list[Rollback] = field(default_factory=list, repr=False)

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to the last step at the newest measured rate."""
        rate = self.row.get("steps_per_sec")
        return (self.of - self.step) / rate if rate and self.of else None


def read_run_state(run: Run, metric: str, *, since: float = 0.0) -> RunState:
    """The state of `run`; heartbeats and metrics from before `since` (Unix seconds) are ignored."""
    trainer, evaluator = (_newest_heartbeat(run, service, since) for service in ("trainer", "evaluator"))
    row = newest_metrics(run)
    row = row if row.get("time", since) >= since else {}
    evaluations = read_evaluations(run)
    scores = [Score(*found) for found in selection.metric_values(evaluations, metric)]
    done = read_done(run)
    return RunState(
        run=run.name,
        step=max(trainer.step, row.get("step", 0), (done or {}).get("step", 0)),
        of=trainer.of or (done or {}).get("step", 0),
        row=row,
        newest=scores[-1] if scores else None,
        best=_kept_best(run, metric) or best_score(scores, metric),
        metric=metric,
        trainer=trainer,
        evaluator=evaluator,
        checkpoints=run.checkpoint_steps(),
        event_bytes=bytes_under(run.train_events) + bytes_under(run.eval_events),
        event_budget=provenance.read_event_log_budget(run),
        done=done,
        time=time.time(),
        goodput=read_goodput(run),
        rollbacks=read_rollbacks(run),
        unmeasured=not scores and any(metric in (row.get("metrics") or {}) for row in evaluations),
    )


def chosen_metric(run: Run) -> str:
    """The metric that chooses the best checkpoint of `run`: that of `best/`, else the one that it was prepared with."""
    given = read_best(run).get("metric") or (provenance.read_given(run) or {}).get("best_metric")
    return str(given or FIELDS["best_metric"].default)


def describe_events(spent: int, budget: int) -> str:
    """`12.3 MB of 200.0 MB`, or without a budget `12.3 MB`."""
    return f"{format_bytes(spent)} of {format_bytes(budget)}" if budget else format_bytes(spent)


def best_score(scores: list[Score], metric: str) -> Score | None:
    """The best of `scores`, the earliest among equals; a loss is better when it is smaller."""
    sign = -1 if selection.lower_is_better(metric) else 1
    return max(scores, key=lambda score: sign * score.value, default=None)


def _kept_best(run: Run, metric: str) -> Score | None:
    """What the evaluator keeps in `best/` by `metric`: it knows the direction and which steps are eligible."""
    card = read_best(run)
    value = card.get("value") if card.get("metric") == metric else None
    return None if value is None else Score(card["step"], value)


def is_finished(run: Run, num_train_steps: int = 0) -> bool:
    """Whether training has ended, its last checkpoint is evaluated, and no more steps are asked for."""
    done = read_done(run)
    if done is None or (done.get("reason") == "completed" and num_train_steps > done["step"]):
        return False
    return max(evaluated_steps(run), default=-1) >= done["step"]


def has_outputs(run: Run, *, images: bool, forms: Sequence[str]) -> bool:
    """Whether the report, drawn images if asked for, and exports in `forms` are there of the best checkpoint."""
    wanted = [run.report, *([run.detections_index] if images else []), *(run.export_card(form) for form in forms)]
    try:
        best = run.best_card.stat().st_mtime
        return all(path.stat().st_mtime >= best for path in wanted)
    except OSError:
        return False


def _newest_heartbeat(run: Run, service: str, since: float) -> Heartbeat:
    found = Heartbeat.read(run, service)
    return found if found.time >= since else Heartbeat(service=service, state="starting")
