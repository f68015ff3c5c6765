"""`evaluate`: the evaluator service."""

import contextlib
import functools
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.checkpoint import resolve_checkpoint
from app.dataset import card as cards
from app.dataset import integrity
from app.errors import DatasetError, DetboxError, SettingsError
from app.evaluation import checkpoint_queue, details, early_stopping, metrics_sets, selection
from app.evaluation.event_pace import EventPace
from app.export import formats
from app.export.session import export_formats
from app.humanize import format_figure
from app.jobs.checks import check_metrics
from app.jobs.prepare import settings_of_run
from app.jobs.promote import model_versions, promote_best
from app.jobs.report import report_at_end
from app.odapi.models import load_detector, load_models
from app.pipeline import run_config
from app.protos import pipeline_config
from app.report.evaluation_events import EvaluationEvents
from app.report.held_out_images import draw_held_out_images
from app.run import lock, sign_of_life
from app.run.directory import CHECKPOINT_PREFIX, Run
from app.run.evaluations import append_evaluation, evaluated_steps, measured, read_best, read_evaluations
from app.run.files import bytes_under
from app.run.heartbeat import Heartbeat, first_line, write_heartbeat
from app.run.preparation import prepared_run
from app.run.provenance import read_given
from app.run.run_end import read_done, request_stop
from app.services import metrics_server, run_state
from app.services.notification import Notifier
from app.settings import Settings, flag
from app.training.stop import Interrupted, StopFlag
from app.write_schedule import write_schedule

if TYPE_CHECKING:
    from app.odapi.eval_events import EvalEvents
    from app.odapi.evaluator import Evaluated, Evaluator

logger = logging.getLogger(__name__)

EVALUATOR_NICENESS = 5
"""The evaluator shares the CPU with the trainer's input pipeline, and can wait."""


def run(settings: Settings) -> None:
    """The evaluator service: evaluates every checkpoint of the run on the CPU until training has ended."""
    from app.machine import odapi_build

    stop = StopFlag().listen()
    run = prepared_run(settings.models_dir, settings.run_name)
    settings = settings_of_run(run, settings)
    odapi_build.verify()
    check_metrics(run, pipeline_config.read_pipeline(run.pipeline_config), settings)
    if settings.promote_threshold is not None:
        model_versions(run, settings)  # Refuses a wrong name now, not at the first checkpoint that passes.
    os.nice(EVALUATOR_NICENESS)
    with lock.hold_service(run, "evaluator"):
        if _has_nothing_to_do(run, settings):
            logger.info("evaluate | training has ended, and all that is asked for is there")
            return
        sign_of_life.give(run, "evaluator")
        metrics_server.serve_metrics(run, ("evaluator",), host=settings.metrics_host, port=settings.metrics_port)
        _write_state(run, "starting", "loading TensorFlow", is_start=True)
        try:
            with stop.undisguised():
                _evaluate_run(run, settings)
        except BaseException as error:
            with contextlib.suppress(OSError):  # The disk may be the error.
                _write_state(run, "stopped" if isinstance(error, Interrupted) else "failed", first_line(error))
            raise


def _has_nothing_to_do(run: Run, settings: Settings) -> bool:
    """Whether an evaluator has ended with the run and left what this one is asked for."""
    if Heartbeat.read(run, "evaluator").state != "done" or not run_state.is_finished(run):
        return False
    forms = formats.parse(settings.export_forms) if settings.export_when_done else ()
    has_outputs = run_state.has_outputs(run, images=settings.detection_outputs > 0, forms=forms)
    return has_outputs and settings.promote_threshold is None


def _write_state(run: Run, state: str, reason: str, *, is_start: bool = False) -> None:
    """The heartbeat between two checkpoints: at the newest evaluated step."""
    last = max(evaluated_steps(run), default=0)
    of = last if state == "done" else 0
    write_heartbeat(run, "evaluator", state=state, step=last, of=of, reason=reason, is_start=is_start)


def _evaluate_run(run: Run, settings: Settings) -> None:
    from app.odapi import checkpoint_files, runtime

    for reader in pipeline_config.read_pipeline(run.pipeline_config).eval_input_reader:
        integrity.check_sizes(reader.tf_record_input_reader.input_path)
    runtime.start(use_gpu=False, seed=settings.seed)
    service = EvaluatorService(run, settings)
    selection.restore_best(run, service.rule)
    for prefix in checkpoint_queue.iterate_checkpoints(
        run, once=settings.once, wait_secs=settings.eval_wait_secs, fault=checkpoint_files.fault
    ):
        service.evaluate(prefix)
    # Once more: an evaluator that was killed after it had found the best had no time to promote it.
    _promote(run, settings)
    has_ended = read_done(run) is not None
    if has_ended:
        checkpoint_files.delete_backlog(run, settings.checkpoint_max_to_keep)
    if read_best(run):
        _write_outputs(run, settings)
    elif evaluated_steps(run):
        logger.warning(
            "evaluate | no checkpoint is the best by %s, so none is drawn from or exported -> %s",
            settings.best_metric,
            flag("checkpoint", "newest"),
        )
    # Here as well as at the end of `up`: as containers, the evaluator is the last that works on a run.
    report_at_end(run, settings)
    _write_state(run, "done", "training has ended" if has_ended else "once")


def _write_outputs(run: Run, settings: Settings) -> None:
    """Images and exports of the best checkpoint, as far as they are asked for."""
    best = resolve_checkpoint(run, "best")
    if settings.detection_outputs:
        _write_state(run, "evaluating", "drawing held-out images")
        draw_held_out_images(best, load_detector(best, use_gpu=False), settings.detection_outputs)
    if settings.export_when_done:
        _write_state(run, "evaluating", "exporting the best checkpoint")
        export_formats(best, settings.export_forms, load_models, run.exports)


class EvaluatorService:
    """Evaluates one checkpoint after the other, with the model and the images of the first."""

    def __init__(self, run: Run, settings: Settings):
        self.run, self.settings = run, settings
        if run_config.has_changed(run):
            logger.warning("evaluate | %s was changed by hand since the trainer took it", run.pipeline_config)
        self._card = cards.read(run.records)
        self._expected = -(-self._card.eval.images // settings.sample_1_of_n_eval_examples) if self._card else None
        self.rule = _best_rule(run, settings, self._card)
        steps = pipeline_config.read_pipeline(run.pipeline_config).train_config.num_steps
        schedule = write_schedule(settings, steps, read_given(run) or ())
        self._shown = EvaluationEvents(
            run,
            self._card,
            EventPace(schedule, steps, lambda: bytes_under(run.eval_events)),
            every=settings.eval_image_every_n,
            order=settings.eval_image_order,
        )
        self._notifier = Notifier(run, settings)
        self._patience = early_stopping.Patience(settings.early_stopping_patience, settings.early_stopping_min_delta)

    @functools.cached_property
    def _evaluator(self) -> "Evaluator":
        from app.odapi.evaluator import Evaluator

        return Evaluator(
            self.run.pipeline_config,
            sample_1_of_n_eval_examples=self.settings.sample_1_of_n_eval_examples,
            config_override=_eval_override(self.settings),
        )

    @functools.cached_property
    def _events(self) -> "EvalEvents":
        from app.odapi.eval_events import EvalEvents

        return EvalEvents(self.run.eval_events, after=max(evaluated_steps(self.run), default=0))

    def evaluate(self, prefix: Path) -> None:
        """Evaluates the checkpoint `prefix`: events first, then `best/`, then its line, which says that all is done.

        Killed in between, the next evaluator does it again from the start, to the same end.
        """
        step = int(prefix.name.removeprefix(CHECKPOINT_PREFIX))
        write_heartbeat(self.run, "evaluator", state="evaluating", step=step, of=0, reason=f"step {step}")
        started = time.monotonic()
        try:
            found = self._evaluator.evaluate(prefix)
        except Exception as error:
            if refusal := self._damage_behind(error) or run_config.refusal(self.run, error):
                raise refusal from error
            raise
        self._check_images(found)
        described, errors = details.describe_evaluation(
            found.images,
            self._evaluator.classes,
            found.classes,
            iou=self.settings.confusion_iou,
            score=self.settings.confusion_score,
        )
        loss = selection.training_loss(self.run, step)
        figures = found.metrics | ({selection.TRAINING_LOSS: loss} if loss is not None else {})
        metrics = {name: measured(value) for name, value in figures.items()}
        self._check_loss(metrics)
        self._shown.write(
            self._events,
            step,
            len(evaluated_steps(self.run)),
            {name: value for name in found.metrics if (value := metrics[name]) is not None},
            found.images,
            errors,
            described,
            self._evaluator.image_outputs,
        )
        row = {
            "step": step,
            "checkpoint": prefix.name,
            "images": len(found.images),
            "expected": self._expected,
            "seconds": round(time.monotonic() - started, 2),
            "metrics": metrics,
            "time": round(time.time(), 3),
        }
        is_best = selection.keep_best(self.run, prefix, step, metrics, described, self.rule)
        append_evaluation(self.run, row, described)
        self._log(row, is_best)
        self._request_stop(step)
        if is_best:
            self._notifier.tell_best(self.rule.metric, step, metrics.get(self.rule.metric))
            _promote(self.run, self.settings)

    def _request_stop(self, step: int) -> None:
        reason = early_stopping.stop_reason(read_evaluations(self.run), self.rule, self._patience)
        if reason and not self.run.done.exists():
            logger.info("evaluate | %s", reason)
            request_stop(self.run, step, reason)

    def _damage_behind(self, error: Exception) -> DatasetError | None:
        from app.odapi.record_decoder import RecordDecoder

        if isinstance(error, DetboxError | MemoryError):
            return None
        for reader in pipeline_config.read_pipeline(self.run.pipeline_config).eval_input_reader[:1]:
            return integrity.find_damage(reader.tf_record_input_reader.input_path, RecordDecoder(reader))
        return None

    def _check_images(self, found: "Evaluated") -> None:
        if self._expected is not None and len(found.images) != self._expected:
            raise DatasetError(
                f"evaluated {len(found.images)} of {self._expected} images at step {found.step}",
                where=str(self.run.records),
                remedy="make the records again: detbox prepare",
            )

    def _check_loss(self, metrics: Mapping[str, float | None]) -> None:
        """Only now is known which losses the model has."""
        metric = self.settings.best_metric
        if metric.startswith("Loss/") and metric not in metrics:
            raise metrics_sets.unknown_metric(metric, [name for name in metrics if name.startswith("Loss/")])

    def _log(self, row: Mapping[str, Any], is_best: bool) -> None:
        figure = format_figure(row["metrics"].get(self.settings.best_metric), 4) + " (best)" * is_best
        images = f"{row['images']} images in {row['seconds']:.1f} s"
        logger.info("evaluate | step %d | %s %s | %s", row["step"], self.settings.best_metric, figure, images)


def _promote(run: Run, settings: Settings) -> None:
    """Promotes the best checkpoint to serving if it passes the gate."""
    if settings.promote_threshold is not None:
        _write_state(run, "evaluating", "promoting the best checkpoint")
        promote_best(run, settings)


def _best_rule(run: Run, settings: Settings, card: cards.Card | None) -> selection.Rule:
    """What the best checkpoint is. SettingsError if the whole run is too short for one to be eligible."""
    first = 0
    if settings.checkpoint_after_epochs and card:
        train = pipeline_config.read_pipeline(run.pipeline_config).train_config
        first = selection.first_eligible_step(
            settings.checkpoint_after_epochs, batch_size=train.batch_size, images=card.train.images
        )
        if first > train.num_steps:
            epochs = train.num_steps * train.batch_size / card.train.images
            raise SettingsError(
                f"the run has {epochs:.1f} epochs, so none of its checkpoints can be the best after "
                f"{settings.checkpoint_after_epochs:g}",
                remedy=flag("checkpoint_after_epochs"),
            )
    return selection.Rule(metric=settings.best_metric, direction=settings.best_metric_direction, first_step=first)


def _eval_override(settings: Settings) -> str:
    """Proto text for those evaluation settings that were given to the evaluator itself."""
    texts = []
    if "eval_batch_size" in settings.given:
        texts.append(f"batch_size: {settings.eval_batch_size}")
    if "eval_image_outputs" in settings.given:
        texts.append(f"num_visualizations: {settings.eval_image_outputs}")
    return f"eval_config {{ {' '.join(texts)} }}" if texts else ""
