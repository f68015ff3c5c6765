"""The three services of one run on this machine: trainer, evaluator and TensorBoard."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from app import log
from app.errors import Preempted, Stopped
from app.evaluation import promotion
from app.humanize import NOTHING_TO_MEASURE, format_time, short_metric
from app.machine.preemption import Notice
from app.run import sign_of_life
from app.run.directory import Run
from app.run.evaluations import evaluated_steps
from app.services import live_view, run_logs, run_state, tensorboard
from app.services.batch_size import smaller_batch
from app.services.hangup import Hangup
from app.services.preempted_run import record_preemption
from app.services.service import Service, command, import_path
from app.services.silence import Silence
from app.services.supervisor import Supervisor
from app.services.up_process import SERVICES, command_for
from app.settings import flag, variable

REFRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """The state of a run when its services have ended."""

    run: str
    folder: str
    step: int
    reason: str
    metric: str
    best: run_state.Score | None
    detections: str | None
    report: str | None
    exports: list[str]
    serving: list[str]
    tensorboard: str
    seconds: float | None
    unmeasured: bool = False

    def __str__(self) -> str:
        name = short_metric(self.metric)
        none = f"{name}: {NOTHING_TO_MEASURE}" if self.unmeasured else "no evaluation"
        best = f"{name} {self.best.value:.3f} at step {self.best.step}" if self.best else none
        took = "" if self.seconds is None else f" after {format_time(self.seconds)}"
        rows = [
            ("run", f"{self.folder}: {self.reason} at step {self.step}{took}"),
            ("best", best),
            ("images", self.detections or "none drawn"),
            ("report", self.report or "none written"),
            *[("exports", ", ".join(self.exports))] * bool(self.exports),
            *(("serves", version) for version in self.serving),
            ("TensorBoard", self.tensorboard),
        ]
        return "\n".join(f"{name:<11} {text}" for name, text in rows)


def make_services(
    run: Run,
    environ: Mapping[str, str],
    commands: Mapping[str, list[str]] | None = None,
    *,
    silent_secs: float = 0.0,
) -> list[Service]:
    """The services of `run`; each finds its settings in `environ`. The evaluator sees no GPU, and alone tells people.

    `silent_secs`: without a sign of life, after which trainer and evaluator are ended and started again; 0: never.
    """
    environ = import_path(environ)
    argv = commands or {name: command(name) for name in ("train", "evaluate", "tensorboard")}
    trainer, evaluator = (
        Silence(partial(sign_of_life.last, run, name), silent_secs) for name in ("trainer", "evaluator")
    )
    without_gpu = {**environ, "CUDA_VISIBLE_DEVICES": "-1"}
    environ = environ | {variable("notify"): "none"}
    return [
        Service(
            "trainer", argv["train"], environ, run.log("trainer"), silence=trainer, smaller=partial(smaller_batch, run)
        ),
        Service(
            "evaluator",
            argv["evaluate"],
            without_gpu,
            run.log("evaluator"),
            silence=evaluator,
            smaller=lambda: f"a smaller {flag('eval_batch_size')}",
        ),
        Service("tensorboard", argv["tensorboard"], environ, run.log("tensorboard"), essential=False),
    ]


def run_services(
    run: Run,
    services: list[Service],
    *,
    metric: str,
    host: str,
    port: int,
    hangup: Hangup | None = None,
    change: Callable[..., None] = lambda **values: None,
    preemption: Callable[[], Notice | None] = lambda: None,
) -> None:
    """Runs them with a live view on stderr until training and the last evaluation have ended.

    `hangup`: the end of the terminal, which they outlive; the view then becomes lines in the run's log. `change` tells
    others so, see `up_process.hold_up`.
    Raises ServiceError if one of these fails, Stopped (with the step that is saved) after a signal, Preempted likewise
    after a notice of `preemption`.
    """
    view, started = live_view.open_view(sys.stderr), time.time()
    shown_at, listening, has_closed = 0.0, False, False
    hangup = hangup or Hangup()
    log_as_before = log.show_by(lambda line: view.print(line))

    def refresh(every: float = REFRESH_SECONDS) -> None:
        nonlocal shown_at, listening, view, has_closed
        if time.monotonic() - shown_at < every:
            return
        shown_at, listening = time.monotonic(), listening or tensorboard.is_listening(host, port)
        if live_view.is_obsolete(view, sys.stderr):
            view = live_view.open_view(sys.stderr)
        if hangup.has_closed and not has_closed:
            has_closed = True
            change(background=True)
            view.print(f"the terminal was closed, the run goes on -> {command_for('stop', run)} ends it")
        bound_logs(run, services)
        state = run_state.read_run_state(run, metric, since=started)
        site = tensorboard.url(host, port) if listening else "starting"
        view.show(state, {service.name: _describe_service(service, state, site) for service in services})

    try:
        supervisor = Supervisor(
            services,
            is_outlived=hangup.is_outlived,
            on_stop=lambda: change(stopping=True),
            progress=lambda: (run.checkpoint_steps()[-1:], evaluated_steps(run)),
            preemption=preemption,
        )
        supervisor.run(refresh, lambda line: view.print(line))
    except Preempted as preempted:
        raise record_preemption(run, SERVICES, preempted) from None
    except Stopped as stopped:
        saved = run.checkpoint_steps()
        where = f"step {saved[-1]} is saved" if saved else "no step is saved yet"
        raise Stopped(
            f"{stopped.what}: {where} in {run.root}",
            signal_number=stopped.exit_code - 128,
            remedy="the same command goes on from there",
        ) from None
    finally:
        refresh(every=0)
        log_as_before()
        view.close()


def bound_logs(run: Run, services: Sequence[Service]) -> None:
    """Keeps what the services and `up` itself write within bounds."""
    run_logs.bound(run.log("up"))
    for service in services:
        if service.log and run_logs.bound(service.log):
            service.log_start = 0


def read_outcome(run: Run, *, metric: str, seconds: float | None = None, report: str | None = None) -> Outcome:
    """The outcome of `run` after `seconds` of this call; `report`: its page."""
    end = run_state.read_run_state(run, metric)
    images = len(list(run.detections.glob("*.jpg"))) if run.detections.is_dir() else 0
    return Outcome(
        run=run.name,
        folder=str(run.root),
        step=end.step,
        reason=(end.done or {}).get("reason", "not finished"),
        metric=metric,
        best=end.best,
        detections=str(run.detections) if images else None,
        report=report,
        exports=[card.parent.name for card in run.export_cards()],
        serving=promotion.describe_serving(run),
        tensorboard=command_for("tensorboard", run),
        seconds=seconds,
        unmeasured=end.unmeasured,
    )


def _describe_service(service: Service, state: run_state.RunState, site: str) -> str:
    if service.code is not None:
        if service.stopped:
            return "stopped"
        return "ended" if service.code == 0 else f"ended with code {service.code}"
    if service.name == "tensorboard":
        return site
    beat = state.trainer if service.name == "trainer" else state.evaluator
    return beat.describe(state.time)
