"""A worker that is not the chief: it trains as the chief says, and writes nothing into the run."""

import contextlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from app.environment import load
from app.errors import DivergedError, SettingsError, Stopped, WorkerLostError
from app.machine.cluster import Cluster
from app.odapi import runtime
from app.pipeline.step_plan import StepPlan
from app.run.directory import PIPELINE_CONFIG, Run
from app.settings import FIELDS, Settings, as_text, flag
from app.training import watchdog
from app.training.stop import StopFlag
from app.training.trainer import Trainer
from app.write_schedule import write_schedule

logger = logging.getLogger(__name__)

SHARED_GROUPS = {"data", "model", "training"}
"""Settings that are the chief's for all workers."""


def plan(
    run: Run, settings: Settings, newest: Path | None, steps: int, records: Sequence[str], step: StepPlan
) -> dict[str, Any]:
    """What the chief says of a loop before it begins; see `train`."""
    names = [name for name, field in FIELDS.items() if field.metadata["group"] in SHARED_GROUPS]
    return {
        "pipeline": run.pipeline_config.read_text("utf-8"),
        "newest": newest.name if newest else "",
        "steps": steps,
        "records": list(records),
        "step": asdict(step),
        "settings": {name: as_text(getattr(settings, name)) for name in names},
    }


def train(run: Run, settings: Settings, cluster: Cluster, stop: StopFlag, check: Callable[..., None]) -> None:
    """Trains beside the chief until all workers end; what it has to write goes to a folder that is removed.

    `check` is given the chief's settings, the workers and the plan of a step before the first loop.
    Raises WorkerLostError, Stopped, and what the loop raises.
    """
    tf = runtime.start(use_gpu=True)
    from app.odapi import train_loop, training_images, workers

    joined = workers.join(cluster, wait_secs=settings.worker_wait_secs)
    stop.listen()  # TensorFlow puts a handler of its own for SIGTERM in place.
    dog = watchdog.Watchdog(settings.watchdog_factor, settings.watchdog_first_secs, settings.watchdog_least_secs)
    dog.watch(partial(watchdog.end_process, describe_input=list, before_end=lambda error: None))
    with joined.losses_named(), tempfile.TemporaryDirectory(prefix="detbox-worker-") as folder:
        is_first = True
        while said := joined.share():
            told, step = _as_told(said, settings), StepPlan(**said["step"])
            if is_first:
                runtime.configure(tf, deterministic=told.deterministic, seed=told.seed)
            joined.seed(told.seed)
            newest = run.root / said["newest"] if said["newest"] else None
            if newest and not newest.with_name(f"{newest.name}.index").is_file():
                raise SettingsError(
                    f"worker {cluster.index} has no {newest.name}, from which the chief goes on",
                    where=str(run.root),
                    remedy=f"every worker needs the same folder of runs: {flag('models_dir')}",
                )
            if is_first:
                check(told, joined, step)
            is_first = False
            config = Path(folder) / PIPELINE_CONFIG
            config.write_text(said["pipeline"], encoding="utf-8")
            images = training_images.TrainingImages({}, 0)
            trainer = Trainer(
                run,
                write_schedule(told, said["steps"]),
                stop,
                newest=newest,
                watchdog=dog,
                loss_upper_bound=told.loss_upper_bound,
                agreement=joined.agreement(),
            )
            try:
                train_loop.train(config, Path(folder), trainer, joined.strategy, said["records"], images, step)
                break
            except DivergedError:
                if told.on_divergence == "stop":
                    raise
                train_loop.forget()
        joined.end()
    if stop.signal is not None:
        raise Stopped("all workers stopped", where=f"worker {cluster.index}", signal_number=stop.signal)
    logger.info("train | worker %d is done", cluster.index)


def dismiss(cluster: Cluster, wait_secs: int) -> None:
    """As the chief, tells the other workers that nothing is left to do; they may have ended as well."""
    runtime.start(use_gpu=True)
    from app.odapi import workers

    with contextlib.suppress(WorkerLostError):
        joined = workers.join(cluster, wait_secs=wait_secs)
        joined.share({})
        joined.end()


def _as_told(said: dict[str, Any], settings: Settings) -> Settings:
    own = {name: as_text(getattr(settings, name)) for name in FIELDS}
    return load(own | said["settings"], environ={}, dotenv=None)
