"""`train`: the trainer service."""

import logging
from typing import Any

from app.errors import SettingsError, Stopped
from app.jobs.prepare import reconfigured
from app.jobs.run_preflight import preflight
from app.run import lock
from app.run.directory import Run
from app.run.files import write_json
from app.run.heartbeat import first_line, write_heartbeat
from app.run.preparation import finished_training, prepared_run
from app.settings import Settings, flag
from app.training.stop import Interrupted, StopFlag

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """The trainer service: trains the run to its end, or until it is told to stop."""
    from app.machine import odapi_build
    from app.training.trainer import diverged

    stop = StopFlag()
    stop.listen()
    run = prepared_run(settings.models_dir, settings.run_name)
    odapi_build.verify()
    with lock.hold_service(run, "trainer"):
        config = reconfigured(run, settings)
        steps = config.train_config.num_steps
        if done := finished_training(run, steps):
            logger.info("train | finished at step %d already (%s)", done["step"], done["reason"])
            return
        if run.checkpoint_steps() and not settings.resume:
            raise SettingsError(
                f"has a checkpoint of step {run.checkpoint_steps()[-1]}, and resume is false",
                where=str(run.root),
                remedy=f"another run: {flag('run', 'NAME')}, or go on: {flag('resume', 'true')}",
            )
        run.done.unlink(missing_ok=True)
        run.stop_request.unlink(missing_ok=True)
        write_heartbeat(run, "trainer", state="starting", step=0, of=steps, reason="loading TensorFlow")
        try:
            _train(run, settings, config, stop)
        except BaseException as error:
            _record_exit(run, "stopped" if isinstance(error, Stopped | Interrupted) else "failed", steps, error)
            if type(error).__name__ == "NonFiniteError":
                saved = {step: str(run.checkpoint(step)) for step in run.checkpoint_steps()}
                raise diverged(str(error), saved) from error
            raise


def _record_exit(run: Run, state: str, steps: int, error: BaseException) -> None:
    saved = (run.checkpoint_steps() or [0])[-1]
    write_heartbeat(run, "trainer", state=state, step=saved, of=steps, reason=first_line(error))


def _train(run: Run, settings: Settings, config: Any, stop: StopFlag) -> None:
    from app.machine import gpus
    from app.odapi import checkpoint_files, runtime, train_loop
    from app.pipeline.build import checkpoint_every_n
    from app.training.trainer import Policy, Trainer

    for line in gpus.report():
        logger.info("gpu %s", line)
    tf = runtime.start(use_gpu=True, seed=settings.seed)
    if settings.mixed_precision:
        runtime.use_mixed_precision(tf)
    strategy = runtime.strategy(tf)
    fine_tune = config.train_config.fine_tune_checkpoint
    starting = bool(fine_tune) and not run.checkpoint_steps()
    preflight(
        run,
        settings,
        config,
        replicas=strategy.num_replicas_in_sync,
        look_into=checkpoint_files.verify_checkpoint if starting else None,
    )
    _write_provenance(run, settings, fine_tune)
    names = [name for name in Policy.__dataclass_fields__ if name != "checkpoint_every_n"]
    every_n = settings.checkpoint_every_n or checkpoint_every_n(config.train_config.num_steps)
    policy = Policy(checkpoint_every_n=every_n, **{name: getattr(settings, name) for name in names})

    def resume_from(model_dir: str) -> str | None:
        return checkpoint_files.newest_complete(run.checkpoint(step) for step in run.checkpoint_steps())

    trainer = Trainer(run, policy, stop, resume_from=resume_from)
    train_loop.train(
        run.pipeline_config,
        run.root,
        trainer,
        strategy,
        summary_every_n=settings.summary_every_n,
        image_summary_every_n=settings.image_summary_every_n,
        image_summary_max_outputs=settings.image_summary_max_outputs,
        num_steps_per_iteration=settings.num_steps_per_iteration,
    )
    if stop.signal is not None:
        saved = (run.checkpoint_steps() or [0])[-1]
        raise Stopped(
            f"{trainer.stopped_for}: step {saved} is saved",
            where=str(run.root),
            signal_number=stop.signal,
            remedy="the same command goes on from there",
        )


def _write_provenance(run: Run, settings: Settings, fine_tune_checkpoint: str) -> None:
    from app.dataset import card as cards
    from app.machine import odapi_build
    from app.pipeline.zoo import store
    from app.run import provenance

    card = cards.read(run.records)
    write_json(
        run.provenance,
        provenance.collect(
            settings,
            odapi_build.verify(),
            card.fingerprint if card else None,
            zoo_model=store.record_of(fine_tune_checkpoint),
        ),
    )
