"""`train`: the trainer service."""

import logging
from typing import Any

from app import runs
from app.errors import SettingsError, Stopped
from app.jobs import runfolder
from app.jobs.checking import preflight
from app.jobs.preparing import reconfigured
from app.settings import Settings
from app.training.stop import Interrupted, StopFlag

logger = logging.getLogger(__name__)


def train(settings: Settings) -> None:
    """The trainer service: trains the run to its end, or until it is told to stop."""
    from app import patches
    from app.training.trainer import diverged

    stop = StopFlag()
    stop.listen()
    run = runfolder.prepared(settings)
    patches.verify()
    with runfolder.held(run, "trainer"):
        config = reconfigured(run, settings)
        steps = config.train_config.num_steps
        if done := runfolder.ended(run, steps):
            logger.info("train | finished at step %d already (%s)", done["step"], done["reason"])
            return
        if run.checkpoint_steps() and not settings.resume:
            raise SettingsError(
                f"has a checkpoint of step {run.checkpoint_steps()[-1]}, and resume is false",
                where=str(run.root),
                remedy="another run: --run=NAME / DETBOX_RUN, or go on: --resume=true / DETBOX_RESUME",
            )
        run.done.unlink(missing_ok=True)
        run.stop_request.unlink(missing_ok=True)
        runs.beat(run, "trainer", state="starting", step=0, of=steps, reason="loading TensorFlow")
        try:
            _train(run, settings, config, stop)
        except BaseException as error:
            _say_end(run, "stopped" if isinstance(error, Stopped | Interrupted) else "failed", steps, error)
            if type(error).__name__ == "NonFiniteError":
                saved = {step: str(run.checkpoint(step)) for step in run.checkpoint_steps()}
                raise diverged(str(error), saved) from error
            raise


def _say_end(run: runs.Run, state: str, steps: int, error: BaseException) -> None:
    saved = (run.checkpoint_steps() or [0])[-1]
    runs.beat(run, "trainer", state=state, step=saved, of=steps, reason=runs.first_line(error))


def _train(run: runs.Run, settings: Settings, config: Any, stop: StopFlag) -> None:
    from app import gpus
    from app.odapi import checkpoints, runtime, training
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
        look_into=checkpoints.look_into if starting else None,
    )
    _write_provenance(run, settings, fine_tune)
    names = [name for name in Policy.__dataclass_fields__ if name != "checkpoint_every_n"]
    every_n = settings.checkpoint_every_n or checkpoint_every_n(config.train_config.num_steps)
    policy = Policy(checkpoint_every_n=every_n, **{name: getattr(settings, name) for name in names})

    def resume_from(model_dir: str) -> str | None:
        return checkpoints.newest_complete(run.checkpoint(step) for step in run.checkpoint_steps())

    trainer = Trainer(run, policy, stop, resume_from=resume_from)
    training.train(
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


def _write_provenance(run: runs.Run, settings: Settings, fine_tune_checkpoint: str) -> None:
    from app import patches, provenance
    from app.dataset import card as cards
    from app.pipeline.zoo import store

    card = cards.read(run.records)
    runs.write_json(
        run.provenance,
        provenance.collect(
            settings,
            patches.verify(),
            card.fingerprint if card else None,
            zoo_model=store.record_of(fine_tune_checkpoint),
        ),
    )
