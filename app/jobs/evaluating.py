"""`evaluate`: the evaluator service."""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from app import runs
from app.errors import DatasetError, SettingsError
from app.jobs import runfolder
from app.jobs.exporting import export_forms
from app.jobs.pictures import draw
from app.settings import Settings
from app.training.stop import Interrupted, StopFlag

logger = logging.getLogger(__name__)


def evaluate(settings: Settings) -> None:
    """The evaluator service: evaluates every checkpoint of the run on the CPU until training has ended."""
    from app import patches

    stop = StopFlag()
    stop.listen()
    run = runfolder.prepared(settings)
    patches.verify()
    os.nice(EVALUATOR_NICENESS)
    with runfolder.held(run, "evaluator"):
        runs.beat(run, "evaluator", state="starting", step=last_step(run), of=0, reason="loading TensorFlow")
        try:
            _evaluate(run, settings)
        except BaseException as error:
            _say_end(run, "stopped" if isinstance(error, Interrupted) else "failed", error)
            raise


def _say_end(run: runs.Run, state: str, error: BaseException) -> None:
    runs.beat(run, "evaluator", state=state, step=last_step(run), of=0, reason=runs.first_line(error))


def last_step(run: runs.Run) -> int:
    """The newest evaluated step, 0 if there is none."""
    return max(runs.evaluated_steps(run), default=0)


EVALUATOR_NICENESS = 5
"""The evaluator shares the CPU with the trainer's input pipeline, and can wait."""


def _evaluate(run: runs.Run, settings: Settings) -> None:
    from app.dataset import card
    from app.evaluation import selection, watch
    from app.odapi import checkpoints, evaluation, runtime

    runtime.start(use_gpu=False, seed=settings.seed)
    made = card.read(run.records)
    expected = -(-made.eval.pictures // settings.sample_1_of_n_eval_examples) if made else None
    started = time.monotonic()

    def each() -> Iterator[str]:
        nonlocal started
        for prefix in watch.checkpoints(
            run,
            once=settings.once,
            wait_secs=settings.eval_wait_secs,
            is_complete=checkpoints.fault,
        ):
            step = int(prefix.rpartition("-")[2])
            runs.beat(run, "evaluator", state="evaluating", step=step, of=0, reason=f"step {step}")
            started = time.monotonic()
            yield prefix

    def record(prefix: str, step: int, pictures: int, metrics: dict[str, float]) -> None:
        if expected is not None and pictures != expected:
            raise DatasetError(
                f"evaluated {pictures} of {expected} pictures at step {step}",
                where=str(run.records),
                remedy="make the records again: detbox prepare",
            )
        if settings.best_metric not in metrics:
            raise SettingsError(
                f"best_metric {settings.best_metric} is not among {', '.join(sorted(metrics))}",
                remedy="--best_metric / DETBOX_BEST_METRIC",
            )
        seconds = round(time.monotonic() - started, 2)
        is_best = selection.keep_best(run, step, metrics, settings.best_metric)
        row = {
            "step": step,
            "checkpoint": Path(prefix).name,
            "pictures": pictures,
            "expected": expected,
            "seconds": seconds,
            "time": round(time.time(), 3),
            "metrics": metrics,
        }
        runs.append_line(run.evaluations, row)
        logger.info(
            "evaluate | step %d | %s %.4f%s | %d pictures in %.1f s",
            step,
            settings.best_metric,
            metrics[settings.best_metric],
            " (best)" if is_best else "",
            pictures,
            seconds,
        )

    evaluation.evaluate(
        run.pipeline_config,
        run.root,
        each(),
        record,
        sample_1_of_n_eval_examples=settings.sample_1_of_n_eval_examples,
        config_override=_eval_override(settings),
    )
    done = runs.read_json(run.done)
    if done:
        _prune(run, settings)
    if settings.detection_outputs and runs.read_json(run.best_card):
        runs.beat(run, "evaluator", state="evaluating", step=last_step(run), of=0, reason="drawing held-out pictures")
        draw(run, settings.detection_outputs)
    if settings.export_when_done and runs.read_json(run.best_card):
        runs.beat(
            run, "evaluator", state="evaluating", step=last_step(run), of=0, reason="exporting the best checkpoint"
        )
        export_forms(run, settings.export_forms)
    last = last_step(run)
    runs.beat(run, "evaluator", state="done", step=last, of=last, reason="training has ended" if done else "once")


def _eval_override(settings: Settings) -> str:
    """Proto text for those evaluation settings that were given to the evaluator itself."""
    texts = []
    if runfolder.is_given(settings, "eval_batch_size"):
        texts.append(f"batch_size: {settings.eval_batch_size}")
    if runfolder.is_given(settings, "eval_image_outputs"):
        texts.append(f"num_visualizations: {settings.eval_image_outputs}")
    return f"eval_config {{ {' '.join(texts)} }}" if texts else ""


def _prune(run: runs.Run, settings: Settings) -> None:
    """What the trainer kept for the evaluator goes, once both are done."""
    from app.odapi import checkpoints
    from app.training import retention

    verdict = retention.judge(
        run.checkpoint_steps(),
        runs.evaluated_steps(run),
        max_to_keep=settings.checkpoint_max_to_keep,
        backlog_max=0,
    )
    checkpoints.delete(run.root, verdict.delete)
