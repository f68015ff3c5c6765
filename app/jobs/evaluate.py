"""`evaluate`: the evaluator service."""

import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.errors import DatasetError, SettingsError
from app.evaluation.matching import Errors, EvaluatedImage
from app.jobs.export import export_forms
from app.jobs.promote import promote_best, shelf_of
from app.jobs.report import report_at_end
from app.report.held_out_images import draw, side_by_side, thresholds
from app.run import lock
from app.run.directory import CHECKPOINT_PREFIX, Run
from app.run.evaluations import append_evaluation, evaluated_steps, read_evaluations
from app.run.files import read_json
from app.run.heartbeat import first_line, write_heartbeat
from app.run.preparation import prepared_run
from app.settings import Settings, flag, is_given
from app.training.stop import Interrupted, StopFlag

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """The evaluator service: evaluates every checkpoint of the run on the CPU until training has ended."""
    from app.machine import odapi_build

    stop = StopFlag()
    stop.listen()
    run = prepared_run(settings.models_dir, settings.run_name)
    odapi_build.verify()
    if settings.promote_threshold is not None:
        shelf_of(run, settings)  # A wrong name is better told now than at the first checkpoint that passes.
    os.nice(EVALUATOR_NICENESS)
    with lock.hold_service(run, "evaluator"):
        write_heartbeat(run, "evaluator", state="starting", step=last_step(run), of=0, reason="loading TensorFlow")
        try:
            _evaluate(run, settings)
        except BaseException as error:
            _record_exit(run, "stopped" if isinstance(error, Interrupted) else "failed", error)
            raise


def _record_exit(run: Run, state: str, error: BaseException) -> None:
    write_heartbeat(run, "evaluator", state=state, step=last_step(run), of=0, reason=first_line(error))


def last_step(run: Run) -> int:
    """The newest evaluated step, 0 if there is none."""
    return max(evaluated_steps(run), default=0)


EVALUATOR_NICENESS = 5
"""The evaluator shares the CPU with the trainer's input pipeline, and can wait."""


def _evaluate(run: Run, settings: Settings) -> None:
    from app.evaluation import checkpoint_queue, selection
    from app.odapi import checkpoint_files, runtime

    runtime.start(use_gpu=False, seed=settings.seed)
    selection.restore_best(run)
    service = Service(run, settings)
    for prefix in checkpoint_queue.checkpoints(
        run, once=settings.once, wait_secs=settings.eval_wait_secs, fault=checkpoint_files.fault
    ):
        service.evaluate(prefix)
    # Once more: an evaluator that was killed after it had found the best had no time to promote it.
    _promote(run, settings)
    done = read_json(run.done)
    if done:
        _prune(run, settings)
    if settings.detection_outputs and read_json(run.best_card):
        write_heartbeat(
            run, "evaluator", state="evaluating", step=last_step(run), of=0, reason="drawing held-out images"
        )
        draw(run, settings.detection_outputs)
    if settings.export_when_done and read_json(run.best_card):
        write_heartbeat(
            run, "evaluator", state="evaluating", step=last_step(run), of=0, reason="exporting the best checkpoint"
        )
        export_forms(run, settings.export_forms)
    # Here as well as at the end of `up`: as containers, the evaluator is the last that works on a run.
    report_at_end(run, settings)
    last = last_step(run)
    write_heartbeat(run, "evaluator", state="done", step=last, of=last, reason="training has ended" if done else "once")


class Service:
    """Evaluates one checkpoint after the other, with the model and the images of the first."""

    def __init__(self, run: Run, settings: Settings):
        from app.dataset import card
        from app.evaluation.early_stopping import Patience

        self.run, self.settings = run, settings
        self._card = card.read(run.records)
        self._expected = -(-self._card.eval.images // settings.sample_1_of_n_eval_examples) if self._card else None
        self._rule = _rule(run, settings, self._card)
        self._patience = Patience(settings.early_stopping_patience, settings.early_stopping_min_delta)
        self._evaluator: Any = None
        self._events: Any = None

    def evaluate(self, prefix: Path) -> None:
        """Evaluates the checkpoint `prefix`: events first, then `best/`, then its line, which says that all is done.

        Killed in between, the next evaluator does it again from the start, to the same end.
        """
        from app.evaluation import details, early_stopping, selection

        step = int(prefix.name.removeprefix(CHECKPOINT_PREFIX))
        write_heartbeat(self.run, "evaluator", state="evaluating", step=step, of=0, reason=f"step {step}")
        started = time.monotonic()
        seen = self._built().evaluate(prefix)
        self._check(seen)
        described, errors = details.describe(
            seen.images,
            self._evaluator.classes,
            seen.classes,
            iou=self.settings.confusion_iou,
            score=self.settings.confusion_score,
        )
        loss = selection.training_loss(self.run, step)
        metrics = seen.metrics | ({selection.TRAINING_LOSS: loss} if loss is not None else {})
        self._check_metric(metrics)
        self._show(step, seen, described, errors)
        row = {
            "step": step,
            "checkpoint": prefix.name,
            "images": len(seen.images),
            "expected": self._expected,
            "seconds": round(time.monotonic() - started, 2),
            "metrics": metrics,
            "time": round(time.time(), 3),
        }
        is_best = selection.keep_best(self.run, prefix, step, metrics, described, self._rule)
        append_evaluation(self.run, row, described)
        self._say(row, is_best)
        reason = early_stopping.why(read_evaluations(self.run), self._rule, self._patience)
        if reason and not self.run.done.exists():
            logger.info("evaluate | %s", reason)
            early_stopping.ask(self.run, step, reason)
        if is_best:
            _promote(self.run, self.settings)

    def _built(self) -> Any:
        """The evaluator, built when there is something to evaluate."""
        if self._evaluator is None:
            from app.odapi import eval_events, evaluator

            self._evaluator = evaluator.Evaluator(
                self.run.pipeline_config,
                sample_1_of_n_eval_examples=self.settings.sample_1_of_n_eval_examples,
                config_override=_eval_override(self.settings),
            )
            self._events = eval_events.EvalEvents(self.run.eval_events)
        return self._evaluator

    def _check(self, seen: Any) -> None:
        if self._expected is not None and len(seen.images) != self._expected:
            raise DatasetError(
                f"evaluated {len(seen.images)} of {self._expected} images at step {seen.step}",
                where=str(self.run.records),
                remedy="make the records again: detbox prepare",
            )

    def _check_metric(self, metrics: Mapping[str, float]) -> None:
        from app.evaluation.selection import TRAINING_LOSS

        metric = self.settings.best_metric
        if metric not in metrics and metric != TRAINING_LOSS:
            raise SettingsError(
                f"best_metric {metric} is not among {', '.join(sorted({*metrics, TRAINING_LOSS}))}",
                remedy=flag("best_metric"),
            )

    def _show(self, step: int, seen: Any, described: Mapping[str, Any], errors: Sequence[Errors]) -> None:
        """Scalars, matrix, curves and, every `eval_image_every_n` evaluations, images side by side."""
        from app.evaluation import figures

        confusion, iou = described["confusion"], described["iou"]
        count = "their F1-optimal scores" if described["score"] is None else f"score {described['score']:g}"
        title = f"step {step}: IoU {iou:g}, from {count} on"
        images = {
            "eval_confusion_matrix": figures.confusion(confusion["labels"], confusion["matrix"], title),
            "eval_precision_recall": figures.curves(described["classes"], iou),
        }
        if len(evaluated_steps(self.run)) % self.settings.eval_image_every_n == 0 and self._card:
            chosen = self._chosen(seen.images, errors)
            drawn = side_by_side(self.run, self._card, chosen, thresholds(described))
            images |= {f"eval_side_by_side_{rank}": image for rank, image in enumerate(drawn)}
        self._events.write(step, seen.metrics, images)

    def _chosen(
        self, images: Sequence[EvaluatedImage], errors: Sequence[Errors]
    ) -> list[tuple[EvaluatedImage, Errors]]:
        from app.evaluation import details

        order = details.worst(images, errors) if self.settings.eval_image_order == "worst" else list(range(len(images)))
        return [(images[at], errors[at]) for at in order[: self._evaluator.image_outputs]]

    def _say(self, row: Mapping[str, Any], is_best: bool) -> None:
        logger.info(
            "evaluate | step %d | %s %.4f%s | %d images in %.1f s",
            row["step"],
            self.settings.best_metric,
            row["metrics"].get(self.settings.best_metric, math.nan),
            " (best)" if is_best else "",
            row["images"],
            row["seconds"],
        )


def _promote(run: Run, settings: Settings) -> None:
    """The best checkpoint goes to serving if it passes the gate."""
    if settings.promote_threshold is None:
        return
    write_heartbeat(
        run, "evaluator", state="evaluating", step=last_step(run), of=0, reason="promoting the best checkpoint"
    )
    promote_best(run, settings)


def _rule(run: Run, settings: Settings, card: Any) -> Any:
    """What the best checkpoint is. SettingsError if the whole run is too short for one to be eligible."""
    from app.evaluation.selection import Rule, first_step
    from app.protos import pipeline_config

    first = 0
    if settings.checkpoint_after_epochs and card:
        train = pipeline_config.parse_pipeline(
            run.pipeline_config.read_text("utf-8"), where=str(run.pipeline_config)
        ).train_config
        first = first_step(settings.checkpoint_after_epochs, batch_size=train.batch_size, images=card.train.images)
        if first > train.num_steps:
            epochs = train.num_steps * train.batch_size / card.train.images
            raise SettingsError(
                f"the run has {epochs:.1f} epochs, so none of its checkpoints can be the best after "
                f"{settings.checkpoint_after_epochs:g}",
                remedy=flag("checkpoint_after_epochs"),
            )
    return Rule(metric=settings.best_metric, direction=settings.best_metric_direction, first_step=first)


def _eval_override(settings: Settings) -> str:
    """Proto text for those evaluation settings that were given to the evaluator itself."""
    texts = []
    if is_given(settings, "eval_batch_size"):
        texts.append(f"batch_size: {settings.eval_batch_size}")
    if is_given(settings, "eval_image_outputs"):
        texts.append(f"num_visualizations: {settings.eval_image_outputs}")
    return f"eval_config {{ {' '.join(texts)} }}" if texts else ""


def _prune(run: Run, settings: Settings) -> None:
    """What the trainer kept for the evaluator goes, once both are done."""
    from app.odapi import checkpoint_files
    from app.training import retention

    verdict = retention.plan_retention(
        run.checkpoint_steps(),
        evaluated_steps(run),
        max_to_keep=settings.checkpoint_max_to_keep,
        backlog_max=0,
    )
    checkpoint_files.delete(run.root, verdict.delete)
