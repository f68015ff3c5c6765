"""The three services of one run on this machine: trainer, evaluator and TensorBoard."""

import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import Stopped
from app.evaluation import promotion
from app.humanize import in_time, short
from app.run.directory import Run
from app.services import live_view, run_state, tensorboard
from app.services.supervisor import Service, Supervisor, command, import_path

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

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

    def __str__(self) -> str:
        name = short(self.metric)
        best = f"{name} {self.best.value:.3f} at step {self.best.step}" if self.best else "no evaluation"
        took = "" if self.seconds is None else f" after {in_time(self.seconds)}"
        rows = [
            ("run", f"{self.folder}: {self.reason} at step {self.step}{took}"),
            ("best", best),
            ("images", self.detections or "none drawn"),
            ("report", self.report or "none written"),
            *[("exports", ", ".join(self.exports))] * bool(self.exports),
            *(("serves", version) for version in self.serving),
            ("look again", self.tensorboard),
        ]
        return "\n".join(f"{name:<11} {text}" for name, text in rows)


def services(run: Run, environ: Mapping[str, str], commands: Mapping[str, list[str]] | None = None) -> list[Service]:
    """The services of `run`; each finds its settings in `environ`. The evaluator sees no GPU."""
    environ = import_path(environ)
    argv = commands or {name: command(name) for name in ("train", "evaluate", "tensorboard")}
    return [
        Service("trainer", argv["train"], environ, run.log("trainer")),
        Service("evaluator", argv["evaluate"], {**environ, "CUDA_VISIBLE_DEVICES": "-1"}, run.log("evaluator")),
        Service("tensorboard", argv["tensorboard"], environ, run.log("tensorboard"), essential=False),
    ]


def train(run: Run, trio: list[Service], *, metric: str, host: str, port: int) -> None:
    """Runs `trio` with a live view on stderr until training and the last evaluation have ended.

    Raises ServiceError if one of these fails, Stopped (with the step that is saved) after a signal.
    """
    view, started = live_view.view(sys.stderr), time.time()
    looked, listening = 0.0, False

    def watch(every: float = LOOK_SECONDS) -> None:
        nonlocal looked, listening
        if time.monotonic() - looked < every:
            return
        looked, listening = time.monotonic(), listening or tensorboard.is_listening(host, port)
        now = run_state.read_run_state(run, metric, since=started)
        site = tensorboard.url(host, port) if listening else "starting"
        view.show(now, {service.name: _word(service, now, site) for service in trio})

    try:
        Supervisor(trio).run(watch, view.say)
    except Stopped as stopped:
        saved = run.checkpoint_steps()
        where = f"step {saved[-1]} is saved" if saved else "no step is saved yet"
        raise Stopped(
            f"{stopped.what}: {where} in {run.root}",
            signal_number=stopped.exit_code - 128,
            remedy="the same command goes on from there",
        ) from None
    finally:
        watch(every=0)
        view.close()


def outcome(run: Run, *, metric: str, seconds: float | None = None, report: str | None = None) -> Outcome:
    """What there is to say of `run` when its services have ended, after `seconds` of this call; `report`: its page."""
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
        exports=sorted(card.parent.name for card in run.exports.glob(f"[!.]*/{promotion.CARD}")),
        serving=promotion.serving_of(run),
        tensorboard=shlex.join(["detbox", "tensorboard", f"--models_dir={run.root.parent}", f"--run={run.name}"]),
        seconds=seconds,
    )


def _word(service: Service, now: run_state.RunState, site: str) -> str:
    if service.code is not None:
        if service.stopped:
            return "stopped"
        return "ended" if service.code == 0 else f"ended with code {service.code}"
    if service.name == "tensorboard":
        return site
    return live_view.describe(getattr(now, service.name), now.time)
