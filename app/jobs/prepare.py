"""`prepare`: a data set and settings become a run's records, label map and pipeline.config."""

import glob
import logging
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from app.dataset import card as cards
from app.dataset import preparation, sample
from app.dataset.card import Card
from app.environment import refuse_other_bytes, with_recorded
from app.errors import DetboxError, SettingsError
from app.humanize import list_names
from app.jobs import checks
from app.machine import cluster
from app.pipeline import build, fine_tune_checks, image_size, origin, preflight, readers, run_config
from app.pipeline.step_plan import StepPlan
from app.pipeline.zoo import local
from app.protos import architecture, label_map
from app.protos.pipeline_config import PipelineConfig
from app.run import provenance, results
from app.run.directory import Run, find_run
from app.run.files import write_text
from app.run.preparation import new_directory
from app.run.rollbacks import read_rollbacks
from app.run.run_end import finished_training
from app.services import batch_size, up_process
from app.services.hangup import has_terminal
from app.services.notification import Notifier
from app.settings import FIELDS, Settings, as_text, flag, is_given
from app.write_schedule import write_schedule

logger = logging.getLogger(__name__)

STORED_PER_SEEN = 2
"""A stored image has up to twice the pixels per side that the model sees: crops stay sharp, decoding stays fast."""
TRY_SECONDS = 300
"""For each try of a batch where there is no trial."""
RECORDED_GROUPS = {"data", "model", "training", "evaluation"}
"""Settings that hold for the trainer and the evaluator of a run once they are given to `prepare`."""
NOT_RECORDED = {"dataset", "once", "gpus"}


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made."""

    run: str
    folder: str
    classes: list[str]
    train_images: int
    eval_images: int
    boxes: int
    origin: str
    num_train_steps: int
    batch_size: int
    notes: list[str]

    def __str__(self) -> str:
        return (
            f"run {self.folder}: {self.train_images} images to train on, "
            f"{self.eval_images} to evaluate on, {self.boxes} boxes, "
            f"classes {list_names(self.classes)}; {self.origin}, "
            f"{self.num_train_steps} steps of batch {self.batch_size}"
        )


def run(settings: Settings, *, trains_here: bool | None = None) -> Prepared:
    """Makes the run's records, label map and pipeline.config; quick where nothing has changed.

    `trains_here`: whether the run will be trained on this machine as well, None: unless this is a container that is
    kept from the GPUs.
    """
    is_alone = trains_here is None
    if trains_here is None:
        trains_here = os.environ.get("NVIDIA_VISIBLE_DEVICES") != "void"
    refuse_other_bytes(settings, ("models_dir", "zoo_dir", "model", "fine_tune_checkpoint"))
    run = find_run(settings.models_dir, settings.run_name)
    notifier = Notifier(run, settings)
    if settings.dataset and not settings.run and run.name != Path(settings.dataset).resolve().name:
        logger.info("run | called %s after %s (%s)", run.name, Path(settings.dataset).resolve().name, flag("run"))
    try:
        if settings.results_dir:
            results.check_folder(Path(settings.results_dir))
        up_process.refuse_change(run, given_settings(settings), settings.dataset)
        with new_directory(run):
            prepared = _prepare(run, with_zoo_folders(settings), trains_here)
            provenance.write_given(run, given_settings(settings), settings.dataset)
    except DetboxError as error:
        if is_alone and not has_terminal():  # As a container: no trainer will start, and nobody looks.
            notifier.tell_failure(error)
        raise
    return prepared


def _prepare(run: Run, settings: Settings, trains_here: bool) -> Prepared:
    found = origin.find_origin(settings.model, settings.fine_tune_checkpoint)
    check_model(settings, found, resuming=bool(run.checkpoint_steps()))
    reads_masks = found.config.train_input_reader.load_instance_masks
    card = preparation.prepare(
        Path(settings.dataset) if settings.dataset else builtin_sample(run, settings),
        run.records,
        format=settings.format,
        train_split=settings.train_split,
        eval_split=settings.eval_split,
        eval_fraction=settings.eval_fraction,
        leak=settings.leak,
        keep_unreadable=settings.keep_unreadable_as_negative,
        num_shards=settings.num_shards,
        seed=settings.seed,
        max_side=_max_side(settings, found.config),
        max_pixels=settings.max_image_pixels,
        follow_links=settings.follow_links,
        masked=reads_masks if settings.masks is None else settings.masks,
    )
    if not card.masks and reads_masks:
        raise SettingsError(
            "the model learns instance masks, and no box of the data set has one",
            where=settings.dataset or "the built-in sample",
            remedy=f"choose a model of boxes: {flag('model')}; or see {flag('masks')}",
        )
    if run.checkpoint_steps() and run.label_map.is_file() and checks.names_of(run) != card.class_names:
        raise SettingsError(
            "the classes differ from those that this run was trained on",
            where=str(run.root),
            remedy=f"start another run: {flag('run', 'NAME')}",
        )
    write_text(run.label_map, label_map.print_label_map(card.class_names))
    pipeline = build_pipeline(run, settings, card, found, trains_here=trains_here)
    schedule = write_schedule(settings, pipeline.num_train_steps)
    checks.check_before_training(
        run,
        pipeline.config,
        schedule,
        parts=checks.plan_step(settings, pipeline.config, checks.images_of_pass(run, settings)).parts,
        workers=cluster.count_workers(settings.workers),
    )
    checks.check_metrics(run, pipeline.config, settings)
    try:
        checks.try_before_training(run, pipeline.config, settings)
    except DetboxError:
        logger.info("prepare: the records are kept, so that the next prepare of this run is quick: %s", run.records)
        raise
    run_config.write_pipeline(run, pipeline)
    if not finished_training(run, pipeline.num_train_steps):
        # An evaluator that starts beside the trainer must not take the end of a shorter run for this one's.
        run.done.unlink(missing_ok=True)
    return Prepared(
        run=run.name,
        folder=str(run.root),
        classes=list(card.classes),
        train_images=card.train.images,
        eval_images=card.eval.images,
        boxes=card.train.boxes + card.eval.boxes,
        origin=pipeline.origin,
        num_train_steps=pipeline.num_train_steps,
        batch_size=pipeline.batch_size,
        notes=list(pipeline.notes),
    )


def _max_side(settings: Settings, config: PipelineConfig) -> int:
    """The longest side of stored images in pixels, 0 for no limit: as given, else by what the model sees."""
    if settings.max_side is not None:
        return settings.max_side
    seen = image_size.parse(settings.image_size) or architecture.image_size(config)
    return STORED_PER_SEEN * max(seen) if seen else 0


def builtin_sample(run: Run, settings: Settings) -> Path:
    """The folder of the built-in data set, written if it is not there."""
    folder = run.sample(settings.sample_images, settings.seed)
    if not folder.is_dir():
        sample.write(folder, images=settings.sample_images, seed=settings.seed)
    return folder


def with_zoo_folders(settings: Settings) -> Settings:
    """`settings` with every name of the zoo's models replaced by the model's folder, fetched if it is not there."""
    folder = local.zoo_folder(settings.models_dir, settings.zoo_dir)
    model, checkpoint = local.resolve_names(settings.model, settings.fine_tune_checkpoint, folder, settings.zoo_mirror)
    return replace(settings, model=model, fine_tune_checkpoint=checkpoint)


def given_settings(settings: Settings) -> dict[str, str]:
    """What was given of the settings that hold for the run's trainer and evaluator too, as text by name."""
    names = [name for name, field in FIELDS.items() if field.metadata["group"] in RECORDED_GROUPS]
    given = [name for name in names if name not in NOT_RECORDED and is_given(settings, name)]
    return {name: _from_anywhere(name, as_text(getattr(settings, name))) for name in given}


def _from_anywhere(name: str, text: str) -> str:
    """The path of a model or checkpoint made absolute, for a trainer with another working directory."""
    if name not in ("model", "fine_tune_checkpoint") or text in origin.presets():
        return text
    path = Path(text)
    is_prefix = path.name != text and path.parent.is_dir()
    return str(path.resolve()) if path.exists() or is_prefix else text


def settings_of_run(run: Run, settings: Settings) -> Settings:
    """`settings` with what was given to `prepare` for all that is not given to this command itself."""
    return with_recorded(settings, provenance.read_given(run) or {}, where=str(run.provenance))


def changed_pipeline(run: Run, settings: Settings) -> build.Pipeline | None:
    """The run's pipeline made anew, not written yet, if settings of the model were given that it was not made with.

    `settings`: as `settings_of_run` gives them.
    """
    card, made_with = cards.read(run.records), provenance.read_given(run) or {}
    given = {
        name: text
        for name, text in given_settings(settings).items()
        if FIELDS[name].metadata["group"] == "model" and made_with.get(name) != text
    }
    is_open = settings.batch_size == "auto" and batch_size.is_open(run)
    if card is None or not (given or is_open):
        return None
    settings = with_zoo_folders(settings)
    return build_pipeline(run, settings, card, origin.find_origin(settings.model, settings.fine_tune_checkpoint))


def build_pipeline(
    run: Run, settings: Settings, card: Card, found: origin.Origin, *, trains_here: bool = True
) -> build.Pipeline:
    """The pipeline.config of the run for the data set of `card`, made of `found`. It is not written."""
    request = build_request(
        settings,
        num_classes=len(card.classes),
        label_map_path=str(run.label_map),
        # Globs, to TensorFlow as to us; a folder's name may have their characters.
        train_records=f"{glob.escape(str(run.records))}/{card.train.records}",
        eval_records=f"{glob.escape(str(run.records))}/{card.eval.records}",
        num_train_images=card.train.images,
        max_boxes_per_image=max(card.train.most_boxes, card.eval.most_boxes),
        reading_host=readers.this_host(card.train.record_bytes),
    )
    if settings.batch_size == "auto" and not trains_here and batch_size.is_open(run):
        logger.info("batch size | is found by the trainer, before its first step")
    elif settings.batch_size == "auto":
        request = replace(request, batch_size=resolve_batch_size(run, settings, card, found, request))
    pipeline = build.build(request, found, read_rollbacks(run))
    for note in pipeline.notes:
        logger.info("pipeline | %s", note)
    return pipeline


def resolve_batch_size(run: Run, settings: Settings, card: Card, found: origin.Origin, request: build.Request) -> int:
    """The batch that this machine trains best, or has been found to. Raises what the search for it does."""

    def make(images: int) -> tuple[PipelineConfig, StepPlan]:
        copy = type(found.config)()
        copy.CopyFrom(found.config)
        config = build.build(replace(request, batch_size=images), replace(found, config=copy)).config
        return config, checks.plan_step(settings, config, images)

    asked = batch_size.Asked(
        make=make,
        images=card.train.images,
        update=settings.effective_batch_size,
        boxes=request.max_boxes_per_image,
        seconds=settings.trial_secs or TRY_SECONDS,
        deterministic=settings.deterministic,
        workers=cluster.count_workers(settings.workers),
        fingerprint=card.fingerprint,
    )
    return batch_size.resolve(run, asked)


def build_request(settings: Settings, *, num_classes: int, **of_data: Any) -> build.Request:
    """What the settings ask of a pipeline.config. `of_data`: what the data set adds, see `build.Request`."""
    return build.Request(
        num_classes=num_classes,
        **of_data,
        **{field.name: getattr(settings, field.name) for field in fields(build.Request) if field.name in FIELDS}
        | ({"batch_size": settings.effective_batch_size} if settings.batch_size == "auto" else {}),
    )


def check_model(settings: Settings, found: origin.Origin, *, resuming: bool) -> None:
    """Refuses what shows without the data set, before that is read and written as records. Raises SettingsError."""
    copy = type(found.config)()
    copy.CopyFrom(found.config)
    classes = max(architecture.body(copy, where=found.name).num_classes, 1)
    request = build_request(settings, num_classes=classes)
    config = build.build(request, replace(found, config=copy)).config
    findings = preflight.check_config(config)
    if not resuming:
        findings += fine_tune_checks.check(config)
    preflight.raise_errors(findings)
