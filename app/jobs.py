"""The use cases of detbox: one function per command, and the only place that wires the parts together.

Each takes the whole `Settings`, hands the parts the few values that they need, and returns what the command
prints. Heavy imports stay inside the functions: most commands need no TensorFlow.
"""

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import runs
from app.errors import DatasetError, DetboxError, SettingsError
from app.settings import FIELDS, Settings, as_environment

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What a command line asks for: the name of a function below, with its settings.

    It can't be called and holds no function: Fire, which is given it, calls whatever it can.
    """

    command: str
    settings: Settings


def up(settings: Settings):
    """Prepares, then runs the three services of the run to their end. Returns a `trio.Outcome`."""
    from app import standing, tensorboard, trio

    run, started = find_run(settings), time.time()
    metric, host = settings.best_metric, settings.tensorboard_host
    if standing.is_finished(run, settings.num_train_steps):
        logger.info(
            "run %s is finished -> a larger --num_train_steps trains on, --run=NAME starts another",
            run.name,
        )
        return trio.outcome(run, metric=metric)
    prepare(settings)
    port = tensorboard.free_port(host, settings.tensorboard_port)
    if settings.tensorboard_port not in (0, port):
        logger.info("port %d is in use: TensorBoard takes %d", settings.tensorboard_port, port)
    pinned = dataclasses.replace(settings, run=run.name, tensorboard_port=port)
    services = trio.services(run, as_environment(pinned, os.environ))
    trio.train(run, services, metric=metric, host=host, port=port)
    try:
        draw(settings)
    except DetboxError as error:
        logger.warning("no pictures drawn: %s", error)
    return trio.outcome(run, metric=metric, seconds=time.time() - started)


def sample(settings: Settings) -> str:
    """Writes the built-in data set. Returns the folder."""
    from app.dataset import sample

    folder = Path(settings.output or "sample")
    sample.write(folder, pictures=settings.sample_pictures, seed=settings.seed)
    return str(folder)


def prepare(settings: Settings) -> "Prepared":
    """Makes the run's records, label map and pipeline.config; quick where nothing has changed."""
    run = find_run(settings)
    with _claimed(run):
        return _prepare(run, settings)


def _prepare(run: runs.Run, settings: Settings) -> "Prepared":
    from app.dataset import prepare as records
    from app.dataset.card import label_map_text

    card = records.prepare(
        Path(settings.dataset) if settings.dataset else _builtin_sample(run, settings),
        run.records,
        format=settings.format,
        train_split=settings.train_split,
        eval_split=settings.eval_split,
        eval_fraction=settings.eval_fraction,
        num_shards=settings.num_shards,
        seed=settings.seed,
    )
    text = label_map_text(card)
    if run.checkpoint_steps() and run.label_map.is_file() and run.label_map.read_text("utf-8") != text:
        raise SettingsError(
            "the classes differ from those that this run was trained on",
            where=str(run.root),
            remedy="start another run: --run=NAME / DETBOX_RUN",
        )
    runs.write_text(run.label_map, text)
    pipeline = _configure(run, settings, card)
    if not _ended(run, pipeline.num_train_steps):
        # An evaluator that starts beside the trainer must not take the end of a shorter run for this one's.
        run.done.unlink(missing_ok=True)
    return Prepared(
        run=run.name,
        folder=str(run.root),
        classes=list(card.classes),
        train_pictures=card.train.pictures,
        eval_pictures=card.eval.pictures,
        boxes=card.train.boxes + card.eval.boxes,
        origin=pipeline.origin,
        num_train_steps=pipeline.num_train_steps,
        batch_size=pipeline.batch_size,
        notes=list(pipeline.notes),
    )


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made."""

    run: str
    folder: str
    classes: list[str]
    train_pictures: int
    eval_pictures: int
    boxes: int
    origin: str
    num_train_steps: int
    batch_size: int
    notes: list[str]

    def __str__(self) -> str:
        return (
            f"run {self.folder}: {self.train_pictures} pictures to train on, "
            f"{self.eval_pictures} to evaluate on, {self.boxes} boxes, "
            f"classes {', '.join(self.classes)}; {self.origin}, {self.num_train_steps} steps of batch {self.batch_size}"
        )


def train(settings: Settings) -> None:
    """The trainer service: trains the run to its end, or until it is told to stop."""
    from app import patches
    from app.training.stop import StopFlag
    from app.training.trainer import diverged

    stop = StopFlag()
    stop.listen()
    run = _prepared(settings)
    patches.verify()
    config = _reconfigured(run, settings)
    if done := _ended(run, config.train_config.num_steps):
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
    steps = config.train_config.num_steps
    runs.beat(run, "trainer", state="starting", step=0, of=steps, reason="loading TensorFlow")
    try:
        _train(run, settings, config, stop)
    except BaseException as error:
        from app.errors import Stopped

        state = "stopped" if isinstance(error, Stopped | KeyboardInterrupt) else "failed"
        at = (run.checkpoint_steps() or [0])[-1]
        runs.beat(
            run,
            "trainer",
            state=state,
            step=at,
            of=steps,
            reason=str(error).splitlines()[0][:300] if str(error) else "",
        )
        if type(error).__name__ == "NonFiniteError":
            raise diverged(str(error), {step: str(run.checkpoint(step)) for step in run.checkpoint_steps()}) from error
        raise


def _train(run: runs.Run, settings: Settings, config: Any, stop: Any) -> None:
    from app import gpus
    from app.errors import Stopped
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
    _preflight(
        run,
        config,
        replicas=strategy.num_replicas_in_sync,
        shapes=checkpoints.shapes(fine_tune) if fine_tune and not run.checkpoint_steps() else None,
    )
    _write_provenance(run, settings)
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


def evaluate(settings: Settings) -> None:
    """The evaluator service: evaluates every checkpoint of the run on the CPU until training has ended."""
    from app import patches
    from app.training.stop import StopFlag

    stop = StopFlag()
    stop.listen()
    run = _prepared(settings)
    patches.verify()
    os.nice(EVALUATOR_NICENESS)
    last = max(runs.evaluated_steps(run), default=0)
    runs.beat(run, "evaluator", state="starting", step=last, of=0, reason="loading TensorFlow")
    try:
        _evaluate(run, settings)
    except BaseException as error:
        from app.errors import Stopped

        state = "stopped" if isinstance(error, Stopped | KeyboardInterrupt) else "failed"
        last = max(runs.evaluated_steps(run), default=0)
        runs.beat(
            run,
            "evaluator",
            state=state,
            step=last,
            of=0,
            reason=str(error).splitlines()[0][:300] if str(error) else "",
        )
        raise


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
    last = max(runs.evaluated_steps(run), default=0)
    runs.beat(run, "evaluator", state="done", step=last, of=last, reason="training has ended" if done else "once")


def _eval_override(settings: Settings) -> str:
    """Proto text for those evaluation settings that were given to the evaluator itself."""
    texts = []
    if _is_given(settings, "eval_batch_size"):
        texts.append(f"batch_size: {settings.eval_batch_size}")
    if _is_given(settings, "eval_image_outputs"):
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


def draw(settings: Settings) -> None:
    """Draws the best checkpoint's detections on held-out pictures into `detections/`."""
    import io

    import numpy as np
    from PIL import Image

    from app.dataset import card as cards
    from app.dataset import records
    from app.export.drawing import Labelled, draw
    from app.odapi import detection, runtime

    run = find_run(settings)
    best, card = runs.read_json(run.best_card), cards.read(run.records)
    if best is None or card is None:
        raise DetboxError("no checkpoint was evaluated", where=str(run.root), remedy="detbox evaluate --once")
    runtime.start(use_gpu=False)
    detector = detection.Detector(run.best / run.pipeline_config.name, run.best / best["checkpoint"])
    with runs.replacing(run.detections) as folder:
        folder.mkdir()
        rows = records.read(sorted(run.records.glob(card.eval.records)))
        for number, row in zip(range(settings.detection_outputs), rows, strict=False):
            picture = np.asarray(Image.open(io.BytesIO(row["image/encoded"][0])).convert("RGB"))
            found = detector.detect(picture)
            shown = [
                Labelled(tuple(box), int(label), f"{card.classes[label - 1]} {score:.0%}")
                for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True)
                if score >= DRAWN_SCORE
            ]
            truth = [
                Labelled(sides, int(label), "")
                for *sides, label in zip(
                    *(row[f"image/object/bbox/{side}"] for side in ("ymin", "xmin", "ymax", "xmax")),
                    row["image/object/class/label"],
                    strict=True,
                )
            ]
            name = Path(row["image/filename"][0].decode()).stem
            draw(picture, shown, truth).save(folder / f"{number:02d}-{name}.jpg", quality=90)


DRAWN_SCORE = 0.4
"""Detections below this score are not drawn."""


def tensorboard(settings: Settings) -> None:
    """Serves the run's events until a signal ends it, or the run's end if that is asked for."""
    from app import standing, tensorboard

    run = find_run(settings)
    if settings.tensorboard_until_done and not standing.is_finished(run):
        tensorboard.end_when(lambda: standing.is_finished(run))
    tensorboard.serve(
        run.root,
        host=settings.tensorboard_host,
        port=settings.tensorboard_port,
        samples_per_plugin=settings.tensorboard_samples_per_plugin,
    )


def status(settings: Settings):
    """Where the runs stand. Returns a `status.Status`."""
    from app import status

    return status.read(settings.models_dir, settings.run, settings.best_metric)


def health(settings: Settings):
    """Whether a service of the run makes progress. Returns a `health.Health`."""
    from app import health

    return health.look(find_run(settings), settings.service)


def doctor(settings: Settings):
    """What is wrong with this machine or installation. Returns a `doctor.Diagnosis`."""
    from app import doctor

    return doctor.diagnose(settings.models_dir)


def find_run(settings: Settings) -> runs.Run:
    """The run that the settings name. Its paths are absolute: they end up in the pipeline.config."""
    return runs.find(settings.models_dir.resolve(), settings.run_name)


@contextlib.contextmanager
def _claimed(run: runs.Run) -> Iterator[None]:
    """Makes the run's directory; if the block fails, it goes again unless something is in it."""
    _claim(run)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            run.root.rmdir()
        raise


def _claim(run: runs.Run) -> None:
    """Makes the run's directory and sees that it can be written. Raises SettingsError."""
    try:
        run.root.mkdir(parents=True, exist_ok=True)
        runs.write_text(run.root / ".writable", "")
        (run.root / ".writable").unlink()
    except OSError as error:
        raise SettingsError(
            f"can't be written: {error.strerror}",
            where=str(run.root),
            remedy="make it writable for this user, or choose another: --models_dir / DETBOX_MODELS_DIR",
        ) from error


def _builtin_sample(run: runs.Run, settings: Settings) -> Path:
    from app.dataset import sample

    folder = run.sample(settings.sample_pictures, settings.seed)
    if not folder.is_dir():
        sample.write(folder, pictures=settings.sample_pictures, seed=settings.seed)
    return folder


def _prepared(settings: Settings) -> runs.Run:
    """The run, which `prepare` must have made."""
    run = find_run(settings)
    missing = [path.name for path in (run.pipeline_config, run.label_map, run.dataset_card) if not path.is_file()]
    if missing:
        raise SettingsError(
            f"run {run.name} has no {missing[0]}",
            where=str(run.root),
            remedy="detbox prepare first, with the same --models_dir and --run",
        )
    _claim(run)
    return run


def _ended(run: runs.Run, steps: int) -> dict[str, Any] | None:
    """What DONE says, if training the run to `steps` has ended."""
    done = runs.read_json(run.done)
    return done if done and (done["step"] >= steps or done.get("of") == steps) else None


def _is_given(settings: Settings, name: str) -> bool:
    return getattr(settings, name) != FIELDS[name].default


def _reconfigured(run: runs.Run, settings: Settings) -> Any:
    """The run's pipeline, made anew if settings of the model were given to `train` itself."""
    from app.dataset import card
    from app.odapi import protos

    made = card.read(run.records)
    model = [name for name, field in FIELDS.items() if field.metadata["group"] == "model"]
    if made is not None and any(_is_given(settings, name) for name in model):
        _configure(run, settings, made)
    return protos.parse_pipeline(run.pipeline_config.read_text("utf-8"), where=str(run.pipeline_config))


def _configure(run: runs.Run, settings: Settings, card: Any) -> Any:
    """Writes the run's pipeline.config and its diff. Returns the `build.Pipeline`."""
    from app.pipeline import build

    same = {name for name in build.Request.__dataclass_fields__ if name in FIELDS}
    pipeline = build.build(
        build.Request(
            **{name: getattr(settings, name) for name in same},
            num_classes=len(card.classes),
            label_map_path=str(run.label_map),
            train_records=str(run.records / card.train.records),
            eval_records=str(run.records / card.eval.records),
            num_train_pictures=card.train.pictures,
        )
    )
    for note in pipeline.notes:
        logger.info("pipeline | %s", note)
    _preflight(run, pipeline.config)
    runs.write_text(run.pipeline_diff, pipeline.diff)
    runs.write_text(run.pipeline_config, pipeline.text)
    return pipeline


def _preflight(run: runs.Run, config: Any, **known: Any) -> None:
    """Checks pipeline, label map and records against each other. Raises SettingsError."""
    import shutil

    from app.dataset import card as cards
    from app.odapi import protos
    from app.pipeline import preflight

    card = cards.read(run.records)
    classes = protos.parse_label_map(run.label_map.read_text("utf-8"), where=str(run.label_map))
    boxes = None
    if card is not None:
        boxes = {number: card.train.boxes_per_class[name] for number, name in enumerate(card.classes, start=1)}
    findings = preflight.check(
        config,
        label_map=classes,
        boxes_per_class=boxes,
        free_bytes=shutil.disk_usage(run.root).free,
        **known,
    )
    preflight.raise_if_any(findings)


def _write_provenance(run: runs.Run, settings: Settings) -> None:
    from app import patches, provenance
    from app.dataset import card as cards

    card = cards.read(run.records)
    runs.write_json(
        run.provenance,
        provenance.collect(settings, patches.verify(), card.fingerprint if card else None),
    )
