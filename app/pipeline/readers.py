"""What a pipeline.config says about reading records and evaluating them."""

from dataclasses import dataclass
from glob import glob
from typing import Any

from app.errors import SettingsError
from app.humanize import format_bytes, format_count
from app.machine.cores import usable_cores
from app.machine.memory import host_memory
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

METRICS = "coco_detection_metrics"
CALLS_PER_CORE = 4
"""Images that are decoded and augmented at a time: more than run, so that a slow one leaves no core without work."""
SHUFFLED_SHARE = 1 / 16
"""Of the memory, what encoded images in the shuffle buffer may take."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """What reads the training records: cores, bytes of memory; and bytes of a record on average, 0 if not known."""

    cores: int
    memory: int
    record: int = 0


def this_host(record: int) -> Host:
    """This machine or container, reading records of that many bytes."""
    return Host(cores=usable_cores(), memory=host_memory(), record=record)


def find_records(reader: Any) -> list[str]:
    """The record files of an InputReader message that are there now, by name."""
    return sorted(path for pattern in reader.tf_record_input_reader.input_path for path in glob(pattern))


def edit_paths(config: PipelineConfig, *, label_map: str, train_records: str, eval_records: str) -> None:
    """Points both readers at the records (globs) and the label map; the strings are written as they come."""
    if not config.eval_input_reader:
        config.eval_input_reader.add()
    del config.eval_input_reader[1:]
    for reader, records in ((config.train_input_reader, train_records), (config.eval_input_reader[0], eval_records)):
        reader.label_map_path = label_map
        reader.tf_record_input_reader.ClearField("input_path")
        reader.tf_record_input_reader.input_path.append(records)


def edit_train(config: PipelineConfig, *, num_images: int) -> None:
    """Shuffles the training records in a buffer no larger than the set (upstream's: 2048 records)."""
    reader = config.train_input_reader
    reader.shuffle = True
    reader.ClearField("num_epochs")
    if 0 < num_images < reader.shuffle_buffer_size:
        reader.shuffle_buffer_size = num_images


def fit_train(config: PipelineConfig, *, num_images: int, host: Host) -> list[str]:
    """Fits what the config itself does not say to the host: the shuffle buffer, images in work. Returns notes."""
    reader = config.train_input_reader
    given = reader.HasField("shuffle_buffer_size") and reader.shuffle_buffer_size != num_images
    notes = [] if given else _fit_buffer(reader, host)
    return notes + _fit_parallelism(reader, config.train_config.batch_size, host.cores)


def _fit_buffer(reader: Any, host: Host) -> list[str]:
    if not host.record:
        return []
    before, most = reader.shuffle_buffer_size, max(int(host.memory * SHUFFLED_SHARE / host.record), 1)
    if most >= before:
        return []
    reader.shuffle_buffer_size = most
    return [
        f"shuffle_buffer_size lowered from {before} to {most}: records of {format_bytes(host.record)} on average, "
        f"in 1/{1 / SHUFFLED_SHARE:.0f} of {format_bytes(host.memory)} of memory"
    ]


def _fit_parallelism(reader: Any, batch_size: int, cores: int) -> list[str]:
    """Upstream decodes and augments `num_parallel_batches` times a batch at once, whatever may run."""
    if batch_size < 1 or reader.HasField("num_parallel_batches"):
        return []
    before, enough = reader.num_parallel_batches, -(-CALLS_PER_CORE * cores // batch_size)
    if enough >= before:
        return []
    reader.num_parallel_batches = enough
    return [
        f"num_parallel_batches lowered from {before} to {enough}: {enough * batch_size} images in work at once keep "
        f"{format_count(cores, 'core')} busy, {before * batch_size} would only take memory"
    ]


def edit_eval(config: PipelineConfig, *, batch_size: int, image_outputs: int, sample_1_of_n: int) -> list[str]:
    """Makes an evaluation see each image once, in order, the last incomplete batch too. Returns notes."""
    reader, evaluation, notes = config.eval_input_reader[0], config.eval_config, []
    reader.shuffle = False
    reader.num_epochs = 1
    reader.drop_remainder = False
    if sample_1_of_n > 1 or reader.HasField("sample_1_of_n_examples"):
        reader.sample_1_of_n_examples = sample_1_of_n
    if batch_size > 1 and not architecture.has_fixed_shape(config):
        batch_size = 1
        notes.append("eval_batch_size is 1: the model's resizer gives images of different sizes")
    evaluation.batch_size = batch_size
    evaluation.num_visualizations = image_outputs
    averaged = config.train_config.optimizer.use_moving_average
    if evaluation.use_moving_averages != averaged:
        evaluation.use_moving_averages = averaged
        keeps = "keeps moving averages of the weights, which are" if averaged else "keeps no moving averages to be"
        notes.append(f"use_moving_averages is {str(averaged).lower()}: training {keeps} evaluated and exported")
    if METRICS not in evaluation.metrics_set:
        evaluation.metrics_set.append(METRICS)
        notes.append(f"metrics_set {METRICS} added: it is what chooses the best checkpoint")
    if evaluation.include_metrics_per_category or evaluation.all_metrics_per_category:
        # Upstream's coco_tools wants a pycocotools with `category_stats`, which no released one has.
        evaluation.include_metrics_per_category = evaluation.all_metrics_per_category = False
        notes.append(
            "include_metrics_per_category is off: upstream's code stops at it, detbox reports each class itself"
        )
    return notes


def edit_batching(config: PipelineConfig, batch_size: int) -> list[str]:
    """Pads images to one size where a batch holds several; SettingsError where that can't be done."""
    if batch_size <= 1 or architecture.has_fixed_shape(config):
        return []
    resizer = architecture.body(config).image_resizer
    if not resizer.HasField("keep_aspect_ratio_resizer"):
        raise SettingsError(
            f"{resizer.WhichOneof('image_resizer_oneof')} gives images of different sizes, which make no "
            f"batch of {batch_size}",
            where="model.image_resizer",
            remedy=f"{flag('batch_size', '1')}, or a fixed_shape_resizer by {flag('config_override')}",
        )
    resizer.keep_aspect_ratio_resizer.pad_to_max_dimension = True
    side = resizer.keep_aspect_ratio_resizer.max_dimension
    return [f"images are padded to {side}x{side}: batches of {batch_size} need one size"]
