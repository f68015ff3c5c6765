"""`prepare`: a data set and settings become a run's records, label map and pipeline.config."""

import glob
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import SettingsError
from app.jobs import zoo_fetch
from app.jobs.run_preflight import preflight
from app.run.directory import Run, find_run
from app.run.files import write_text
from app.run.preparation import finished_training, new_directory
from app.settings import FIELDS, Settings, flag, is_given

logger = logging.getLogger(__name__)


def run(settings: Settings) -> "Prepared":
    """Makes the run's records, label map and pipeline.config; quick where nothing has changed."""
    run = find_run(settings.models_dir, settings.run_name)
    with new_directory(run):
        return _prepare(run, zoo_fetch.resolved(settings))


def _prepare(run: Run, settings: Settings) -> "Prepared":
    from app.dataset import preparation as records
    from app.dataset.card import label_map_text

    card = records.prepare(
        Path(settings.dataset) if settings.dataset else builtin_sample(run, settings),
        run.records,
        format=settings.format,
        train_split=settings.train_split,
        eval_split=settings.eval_split,
        eval_fraction=settings.eval_fraction,
        num_shards=settings.num_shards,
        seed=settings.seed,
        max_side=_max_side(settings),
        masked=_reads_masks(settings) if settings.masks is None else settings.masks,
    )
    if not card.masks and _reads_masks(settings):
        raise SettingsError(
            "the model learns instance masks, and no box of the data set has one",
            where=settings.dataset or "the built-in sample",
            remedy=f"choose a model of boxes: {flag('model')}; or see {flag('masks')}",
        )
    text = label_map_text(card)
    if run.checkpoint_steps() and run.label_map.is_file() and run.label_map.read_text("utf-8") != text:
        raise SettingsError(
            "the classes differ from those that this run was trained on",
            where=str(run.root),
            remedy=f"start another run: {flag('run', 'NAME')}",
        )
    write_text(run.label_map, text)
    pipeline = configure(run, settings, card)
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
            f"classes {', '.join(self.classes)}; {self.origin}, {self.num_train_steps} steps of batch {self.batch_size}"
        )


STORED_PER_SEEN = 2
"""A stored image has up to twice the pixels per side that the model sees: crops stay sharp, decoding stays fast."""


def _max_side(settings: Settings) -> int:
    """The longest side of stored images in pixels, 0 for no limit: as given, else by what the model sees."""
    from app.pipeline import image_size, origin
    from app.protos import architecture

    if settings.max_side is not None:
        return settings.max_side
    config = origin.find_origin(settings.model, settings.fine_tune_checkpoint).config
    seen = image_size.parse(settings.image_size) or architecture.image_size(config)
    return STORED_PER_SEEN * max(seen) if seen else 0


def _reads_masks(settings: Settings) -> bool:
    """Whether the model's input has instance masks, as Mask R-CNN's has."""
    from app.pipeline import origin

    config = origin.find_origin(settings.model, settings.fine_tune_checkpoint).config
    return config.train_input_reader.load_instance_masks


def builtin_sample(run: Run, settings: Settings) -> Path:
    """The folder of the built-in data set, written if it is not there."""
    from app.dataset import sample

    folder = run.sample(settings.sample_images, settings.seed)
    if not folder.is_dir():
        sample.write(folder, images=settings.sample_images, seed=settings.seed)
    return folder


def reconfigured(run: Run, settings: Settings) -> Any:
    """The run's pipeline, made anew if settings of the model were given to `train` itself."""
    from app.dataset import card
    from app.protos import pipeline_config

    made = card.read(run.records)
    model = [name for name, field in FIELDS.items() if field.metadata["group"] == "model"]
    if made is not None and any(is_given(settings, name) for name in model):
        configure(run, zoo_fetch.resolved(settings), made)
    return pipeline_config.parse_pipeline(run.pipeline_config.read_text("utf-8"), where=str(run.pipeline_config))


def configure(run: Run, settings: Settings, card: Any) -> Any:
    """Writes the run's pipeline.config and its diff. Returns the `build.Pipeline`."""
    from app.pipeline import build

    same = {name for name in build.Request.__dataclass_fields__ if name in FIELDS}
    pipeline = build.build(
        build.Request(
            **{name: getattr(settings, name) for name in same},
            num_classes=len(card.classes),
            label_map_path=str(run.label_map),
            # Globs, to TensorFlow as to us; a folder's name may have their characters.
            train_records=f"{glob.escape(str(run.records))}/{card.train.records}",
            eval_records=f"{glob.escape(str(run.records))}/{card.eval.records}",
            num_train_images=card.train.images,
            max_boxes_per_image=max(card.train.most_boxes, card.eval.most_boxes),
        )
    )
    for note in pipeline.notes:
        logger.info("pipeline | %s", note)
    preflight(run, settings, pipeline.config)
    write_text(run.pipeline_diff, pipeline.diff)
    write_text(run.pipeline_config, pipeline.text)
    return pipeline
