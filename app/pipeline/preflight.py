"""What would go wrong in training, found before it starts: every check at once, none needs TensorFlow."""

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from glob import glob

from app.errors import SettingsError
from app.humanize import list_names
from app.pipeline import augmentations, fine_tune_checks, image_size, model_checks, schedule
from app.pipeline.finding import Finding, error, warning
from app.pipeline.resources import Resources
from app.pipeline.resources import check as check_resources
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

log = logging.getLogger(__name__)

EXAMPLES = 3
"""Named of the classes that one finding is about."""


def check(
    config: PipelineConfig,
    *,
    label_map: Mapping[int, str],
    boxes_per_class: Mapping[int, int] | None = None,
    classes: Sequence[str] | None = None,
    replicas: int = 1,
    parts: int = 1,
    workers: int = 1,
    shapes: Mapping[str, Sequence[int]] | None = None,
    verify_checkpoint: fine_tune_checks.VerifyCheckpoint | None = None,
    resuming: bool = False,
    resources: Resources | None = None,
    masks: bool | None = None,
    keypoints: int = 0,
    find_files: Callable[[str], Collection[str]] = glob,
) -> list[Finding]:
    """Everything wrong or doubtful in `config` (a TrainEvalPipelineConfig) for this data set and machine.

    `label_map`: class ids to names. `boxes_per_class`: boxes in the training records by class id. `classes`: names
    that the records were made with, in the order of their ids. `replicas`: devices over all `workers` (processes).
    `parts`: passes of an update.
    `shapes`, `verify_checkpoint`: see `fine_tune_checks.check`. `resuming`: the run has a checkpoint of its own,
    which it goes on from. `masks`, `keypoints` (how many): what the records' boxes have. A None leaves its check out.
    Raises SettingsError for a config that is no model at all.
    """
    return [
        *check_config(config, replicas=replicas, parts=parts),
        *_check_classes(config, label_map, boxes_per_class, classes),
        *_check_records(config, workers, find_files),
        *([] if resuming else fine_tune_checks.check(config, shapes, verify_checkpoint)),
        *([] if masks is None else model_checks.check_boxes(config, masks=masks, keypoints=keypoints)),
        *(check_resources(config, resources, replicas, parts) if resources else ()),
    ]


def check_config(config: PipelineConfig, *, replicas: int = 1, parts: int = 1) -> list[Finding]:
    """What of it shows in the config alone."""
    return [
        *_check_model(config),
        *model_checks.check(config),
        *_check_schedule(config),
        *_check_batch(config, replicas, parts),
        *_check_augmentations(config),
    ]


def raise_if_any(findings: Iterable[Finding]) -> None:
    """Logs every finding but a sole error; if any is an error, raises the first as SettingsError, with their number."""
    findings = list(findings)
    errors = [finding for finding in findings if finding.severity == "error"]
    for finding in findings:
        if finding.severity != "error":
            log.warning("%s", finding)
        elif len(errors) > 1:
            log.error("%s", finding)
    if errors:
        count = f" (the first of {len(errors)} errors, all are logged)" if len(errors) > 1 else ""
        raise SettingsError(errors[0].what + count, where=errors[0].where, remedy=errors[0].remedy)


def raise_errors(findings: Iterable[Finding]) -> None:
    """As `raise_if_any`, without a word of what is only doubtful."""
    raise_if_any(finding for finding in findings if finding.severity == "error")


def _check_model(config: PipelineConfig) -> Iterator[Finding]:
    kind = architecture.extractor_type(config)
    if not architecture.is_tf2(config):
        yield error(f"feature extractor {kind} is TF1's", "model", "detbox migrate writes the TF2 form")
    if fault := image_size.misfit(config):
        where = f"model.{config.model.WhichOneof('model')}.image_resizer"
        yield error(fault, where, image_size.remedy(config))


def _check_classes(
    config: PipelineConfig, label_map: Mapping[int, str], boxes: Mapping[int, int] | None, classes: Sequence[str] | None
) -> Iterator[Finding]:
    num_classes, where = architecture.body(config).num_classes, config.train_input_reader.label_map_path
    highest = max(label_map, default=0)
    if highest != num_classes:
        yield error(
            f"label map has ids up to {highest}, the model {num_classes} classes",
            where,
            f"num_classes must be the highest id: {flag('config_override')}, or the label map",
        )
    gaps = sorted(set(range(1, highest)) - set(label_map))
    if gaps:
        what = f"label map has no name for id {_some(gaps)}: the model keeps a class for nothing"
        yield warning(what, where, "number the classes from 1 without a gap, in the label map and the records")
    if unknown := sorted(set(boxes or {}) - set(label_map)):
        what = f"records have boxes of class id {_some(unknown)}, which the label map lacks"
        yield error(what, where, "run detbox prepare again")
    named = [(number, name) for number, name in enumerate(classes or (), start=1) if number in label_map]
    if other := [f"{number} {label_map[number]!r} for {name!r}" for number, name in named if label_map[number] != name]:
        what = f"label map has other names than the records were made with, for class {_some(other)}"
        yield error(what, where, "run detbox prepare again")
    if boxes is not None and (empty := [name for number, name in label_map.items() if not boxes.get(number)]):
        what = f"{len(empty)} classes have" if len(empty) > 1 else "a class has"
        yield warning(
            f"{what} no box in the training records, so nothing can be learnt there: {_some(empty)}",
            where,
            f"another {flag('train_split')} or {flag('seed')}, or leave them out",
        )


def _some(things: Sequence[object]) -> str:
    return list_names(list(map(str, things)), EXAMPLES)


def _check_records(
    config: PipelineConfig, workers: int, find_files: Callable[[str], Collection[str]]
) -> Iterator[Finding]:
    for split, reader in (("train", config.train_input_reader), ("eval", config.eval_input_reader[0])):
        patterns = reader.tf_record_input_reader.input_path
        number = sum(len(find_files(pattern)) for pattern in patterns)
        where = ", ".join(patterns)
        if not number:
            yield error(f"no {split} records there", where, "detbox prepare, with the same --models_dir and --run")
        elif split == "train" and number < workers:
            yield error(
                f"{workers} workers share {number} record files: some would get no data",
                where,
                f"prepare with more: {flag('num_shards')}",
            )


def _check_schedule(config: PipelineConfig) -> Iterator[Finding]:
    rate, steps = schedule.rate_message(config), config.train_config.num_steps
    length, warmup = schedule.length(config), schedule.warmup_of(rate)[0]
    where = "train_config.optimizer"
    remedy = f"{flag('num_train_steps')}, or the schedule in --config_override"
    highest = schedule.peak(rate)
    if not math.isfinite(highest) or highest <= 0:
        yield error(f"learning rate {highest:g} is no rate", where, flag("learning_rate"))
    if not steps:
        yield error("num_steps is 0", "train_config", flag("num_train_steps"))
    elif warmup >= steps:
        what = f"warm-up of {warmup} steps is as long as the run of {steps}"
        yield error(what, where, flag("warmup_steps"))
    elif length and rate.WhichOneof("learning_rate") == "cosine_decay_learning_rate":
        if length < steps:
            yield error(f"learning rate is 0 from step {length} of {steps} on", where, remedy)
        if length > steps:
            what = f"schedule of {length} steps is cut off at {steps}: the rate does not come down"
            yield warning(what, where, remedy)
    elif length and length >= steps:
        what = f"last drop of the learning rate is at step {length}, the end at {steps}"
        yield warning(what, where, remedy)


def _check_batch(config: PipelineConfig, replicas: int, parts: int) -> Iterator[Finding]:
    batch = config.train_config.batch_size // parts
    if batch < 1 or batch % replicas:
        near = max(1, round(batch / replicas)) * replicas
        what = f"batch_size {batch} does not divide by {replicas} replicas"
        yield error(what, "train_config", flag("batch_size", str(near)))


def _check_augmentations(config: PipelineConfig) -> Iterator[Finding]:
    for step, kind, remedy in augmentations.stray_groundtruth(config):
        what = f"{step} moves images and boxes, but not {kind}, which the reader loads"
        yield error(what, "train_config.data_augmentation_options", remedy)
