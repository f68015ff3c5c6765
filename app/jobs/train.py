"""`train`: the trainer service."""

import contextlib
import gc
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from app.dataset import integrity
from app.dataset.readable_records import ReadableRecords
from app.errors import DatasetError, DivergedError, SettingsError, Stopped
from app.jobs import checks, prepare
from app.machine.cluster import Cluster, cluster_of
from app.pipeline import build, preflight, readers, run_config, schedule
from app.pipeline.step_plan import StepPlan
from app.protos import pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.run import lock, provenance, sign_of_life
from app.run.directory import Run, find_run
from app.run.heartbeat import first_line, write_heartbeat
from app.run.leftovers import clear_leftovers
from app.run.preparation import prepared_run
from app.run.run_end import finished_training, read_done
from app.services import metrics_server
from app.services.batch_size import as_out_of_memory
from app.settings import Settings, flag
from app.training import divergence, resume
from app.training.stop import Interrupted, StopFlag
from app.write_schedule import write_schedule

if TYPE_CHECKING:
    from app.odapi.workers import Alone, Workers

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """The trainer service: trains the run to its end, or until it is told to stop.

    As one of several workers that is not the chief it trains as the chief says.
    """
    from app.machine import odapi_build

    stop = StopFlag().listen()
    odapi_build.verify()
    if settings.from_run:
        settings = provenance.settings_again(Path(settings.from_run), settings)
    cluster = cluster_of(settings)
    if cluster and not cluster.is_chief:
        _train_beside_chief(settings, cluster, stop)
        return
    if settings.from_run:
        logger.info("train | %s", prepare.run(settings, trains_here=True))
    run = prepared_run(settings.models_dir, settings.run_name)
    with lock.hold_service(run, "trainer"):
        sign_of_life.give(run, "trainer")
        metrics_server.serve_metrics(run, ("trainer",), host=settings.metrics_host, port=settings.metrics_port)
        settings = prepare.settings_of_run(run, settings)
        changed = prepare.changed_pipeline(run, settings)
        config = changed.config if changed else pipeline_config.read_pipeline(run.pipeline_config)
        if run_config.has_changed(run) and not changed:
            logger.warning("train | %s was changed by hand: the run goes on with it as it is", run.pipeline_config)
        steps = config.train_config.num_steps
        if done := finished_training(run, steps):
            logger.info("train | finished at step %d already (%s)", done["step"], done.get("reason", "no reason given"))
            write_heartbeat(run, "trainer", state="done", step=done["step"], of=steps, reason=done.get("reason", ""))
            if cluster:
                from app.odapi import member

                member.dismiss(cluster, settings.worker_wait_secs)
            return
        if run.checkpoint_steps() and not settings.resume:
            raise SettingsError(
                f"has a checkpoint of step {run.checkpoint_steps()[-1]}, and resume is false",
                where=str(run.root),
                remedy=f"another run: {flag('run', 'NAME')}, or go on: {flag('resume', 'true')}",
            )
        resume.refuse_lost_progress(run)
        run.done.unlink(missing_ok=True)
        run.stop_request.unlink(missing_ok=True)
        write_heartbeat(run, "trainer", state="starting", step=0, of=steps, reason="loading TensorFlow", is_start=True)
        try:
            preflight.raise_errors(preflight.check_config(config))
            if not settings.skip_corrupt_records:
                integrity.check_sizes(_input_path(config))
            checks.try_before_training(run, config, settings)
            _train(run, settings, config, changed, stop, cluster)
        except BaseException as error:
            named = as_out_of_memory(run, error) or error
            _record_exit(run, "stopped" if isinstance(error, Stopped | Interrupted) else "failed", steps, named)
            if named is not error:
                raise named from error
            raise


def _record_exit(run: Run, state: str, steps: int, error: BaseException) -> None:
    saved = (run.checkpoint_steps() or [0])[-1]
    with contextlib.suppress(OSError):  # The disk may be the error.
        write_heartbeat(run, "trainer", state=state, step=saved, of=steps, reason=first_line(error))


def _train(
    run: Run,
    settings: Settings,
    config: PipelineConfig,
    changed: build.Pipeline | None,
    stop: StopFlag,
    cluster: Cluster | None,
) -> None:
    from app.machine import gpus
    from app.odapi import runtime

    for line in gpus.describe_gpus():
        logger.info("gpu %s", line)
    # Until the first step there is hardly any garbage, and looking for it is a tenth of the time before that step.
    gc.disable()
    tf = runtime.start(use_gpu=True, seed=settings.seed)
    runtime.configure(tf, deterministic=settings.deterministic, seed=settings.seed)
    plan = checks.plan_step(settings, config, checks.images_of_pass(run, settings), runtime.capabilities(tf))
    from app.odapi import workers

    joined = workers.join(cluster, wait_secs=settings.worker_wait_secs)
    stop.listen()  # TensorFlow puts a handler of its own for SIGTERM in place.
    with joined.losses_named():
        stopped_for = _train_as_chief(run, settings, config, changed, stop, joined, plan)
        joined.end()
    if stop.error:
        raise stop.error
    if stop.signal is not None and not read_done(run):  # One that comes later ends nothing.
        saved = (run.checkpoint_steps() or [0])[-1]
        raise Stopped(
            f"{stopped_for}: step {saved} is saved",
            where=str(run.root),
            signal_number=stop.signal,
            remedy="the same command goes on from there",
        )


def _train_as_chief(
    run: Run,
    settings: Settings,
    config: PipelineConfig,
    changed: build.Pipeline | None,
    stop: StopFlag,
    joined: "Alone | Workers",
    plan: StepPlan,
) -> str | None:
    """What training was stopped for; None if it came to its end."""
    from app.odapi import checkpoint_files, member, summaries, train_events, train_loop
    from app.odapi.record_decoder import RecordDecoder
    from app.training import input_state, watchdog
    from app.training.time_account import TimeAccount
    from app.training.trainer import Trainer

    newest = resume.find_resume(run, checkpoint_files.fault)
    clear_leftovers(run)
    cadences = write_schedule(settings, config.train_config.num_steps, provenance.read_given(run) or ())
    checks.check_before_training(
        run,
        config,
        cadences,
        parts=plan.parts,
        replicas=joined.strategy.num_replicas_in_sync,
        workers=joined.size,
        verify_checkpoint=None if newest else checkpoint_files.verify_checkpoint,
    )
    checks.check_metrics(run, config, settings)
    if changed:
        run_config.write_pipeline(run, changed)
    run_config.lower_rate(run)
    _write_provenance(run, settings, config.train_config.fine_tune_checkpoint)
    for line in provenance.describe_differences(Path(settings.from_run), run) if settings.from_run else ():
        logger.warning("train | not as in %s: %s", settings.from_run, line)

    steps = config.train_config.num_steps
    dog = watchdog.Watchdog(settings.watchdog_factor, settings.watchdog_first_secs, settings.watchdog_least_secs)
    dog.watch(
        partial(
            watchdog.end_process,
            describe_input=partial(input_state.describe_input, readers.find_records(config.train_input_reader)),
            before_end=lambda error: _record_exit(run, "failed", steps, error),
        )
    )
    account = TimeAccount(run, psutil.Process().create_time())
    source = _open_records(run, config, settings, stop)
    while True:
        # The steps of images are calls of their own, of which the other workers know nothing.
        with_images = joined.size == 1 or cadences.num_steps_per_iteration == 1
        events, images = train_events.open_log(run, cadences, with_images=with_images)
        trainer = Trainer(
            run,
            cadences,
            stop,
            newest=newest,
            mark_restart=summaries.mark_restart,
            watchdog=dog,
            account=account,
            events=events,
            loss_upper_bound=settings.loss_upper_bound,
            skipped_records=source.skipped,
            agreement=joined.agreement(),
        )
        joined.share(member.plan(run, settings, newest, steps, source.paths, plan))
        joined.seed(settings.seed)
        try:
            with stop.undisguised():
                train_loop.train(run.pipeline_config, run.root, trainer, joined.strategy, source.paths, images, plan)
            return trainer.stopped_for
        except Interrupted:
            account.write(in_progress=False)
            raise
        except DivergedError as error:
            if settings.on_divergence == "stop":
                raise
            _roll_back(run, settings.rollback_factor, error)
        except DatasetError:
            if joined.size > 1 or not (source.most and source.skip(RecordDecoder(config.train_input_reader))):
                raise
            logger.warning("train | %s", source)
        train_loop.forget()
        newest = resume.find_resume(run, checkpoint_files.fault)


def _train_beside_chief(settings: Settings, cluster: Cluster, stop: StopFlag) -> None:
    from app.odapi import member

    run = find_run(settings.models_dir, settings.run_name)

    def check(told: Settings, joined: "Workers", plan: StepPlan) -> None:
        checks.check_before_training(
            prepared_run(settings.models_dir, run.name, writable=False),
            pipeline_config.read_pipeline(run.pipeline_config),
            write_schedule(told, 1),
            parts=plan.parts,
            replicas=joined.strategy.num_replicas_in_sync,
            workers=joined.size,
        )

    member.train(run, settings, cluster, stop, check)


def _input_path(config: PipelineConfig) -> list[str]:
    return list(config.train_input_reader.tf_record_input_reader.input_path)


def _open_records(run: Run, config: PipelineConfig, settings: Settings, stop: StopFlag) -> ReadableRecords:
    """The records to train on: looked through now if some may be passed over, else checked while training runs."""
    source = ReadableRecords(_input_path(config), run.readable_records, settings.skip_corrupt_records)
    if not source.most:
        integrity.check_contents_beside(source.paths, stop.fail)
    elif config.train_input_reader.sample_from_datasets_weights:
        raise SettingsError(
            "sample_from_datasets_weights has a weight for each input_path, which passing over records replaces",
            where=str(run.pipeline_config),
            remedy=flag("skip_corrupt_records", "0"),
        )
    elif source.skip():
        logger.warning("train | %s", source)
    return source


def _roll_back(run: Run, factor: float, error: DivergedError) -> None:
    """Has the run go on from its last good checkpoint at `factor` times its learning rate, or raises `error`."""
    config = pipeline_config.read_pipeline(run.pipeline_config)
    before = schedule.peak(schedule.rate_message(config))
    step = divergence.roll_back(run, error, before=before, rate=before * factor)
    run_config.lower_rate(run)
    reason = f"went back to step {step}: {error.what}"
    write_heartbeat(run, "trainer", state="starting", step=step, of=config.train_config.num_steps, reason=reason[:300])


def _write_provenance(run: Run, settings: Settings, fine_tune_checkpoint: str) -> None:
    from app.dataset import card as cards
    from app.machine import odapi_build
    from app.pipeline.zoo import store

    card = cards.read(run.records)
    # What the pipeline.config was made with from now on: a later `train` without these flags goes on with it.
    given = (provenance.read_given(run) or {}) | prepare.given_settings(settings)
    record = provenance.collect(
        settings,
        odapi_build.verify(),
        card.fingerprint if card else None,
        zoo_model=store.record_of(fine_tune_checkpoint),
    )
    provenance.write_record(run, record, given)
    run_config.record_pipeline(run)
