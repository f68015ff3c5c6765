"""What would go wrong in training, found before it starts: every check at once, none needs TensorFlow."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from glob import glob
from typing import Any

from app.errors import SettingsError
from app.pipeline import architecture, schedule, starting_point
from app.pipeline.finding import Finding, error, warning

log = logging.getLogger(__name__)


def check(
    config: Any,
    *,
    label_map: Mapping[int, str],
    boxes_per_class: Mapping[int, int] | None = None,
    replicas: int = 1,
    workers: int = 1,
    shapes: Mapping[str, Sequence[int]] | None = None,
    checkpoint_bytes: int = 0,
    checkpoints_kept: int = 0,
    free_bytes: int | None = None,
    find_files: Callable[[str], Collection[str]] = glob,
) -> list[Finding]:
    """Everything wrong or doubtful in `config` (a TrainEvalPipelineConfig) for this data set and machine.

    `label_map`: class ids to names. `boxes_per_class`: boxes in the training records by class id. `replicas`:
    devices over all `workers` (processes). `shapes`: the fine-tune checkpoint's keys and their shapes.
    `checkpoint_bytes`: an estimate of one checkpoint. A None, or 0 bytes, leaves its check out.
    """
    return [
        *_check_model(config),
        *_check_classes(config, label_map, boxes_per_class),
        *_check_records(config, workers, find_files),
        *starting_point.check(config, shapes),
        *_check_schedule(config),
        *_check_batch(config, replicas),
        *_check_disk(checkpoint_bytes, checkpoints_kept, free_bytes),
    ]


def raise_if_any(findings: Iterable[Finding]) -> None:
    """Logs every finding; if any is an error, raises one SettingsError with the first and their number."""
    findings = list(findings)
    for finding in findings:
        log.log(logging.ERROR if finding.severity == "error" else logging.WARNING, "%s", finding)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        count = f" (the first of {len(errors)} errors, all are logged)" if len(errors) > 1 else ""
        raise SettingsError(errors[0].what + count, where=errors[0].where, remedy=errors[0].remedy)


def _check_model(config: Any) -> Iterator[Finding]:
    kind, size = architecture.extractor_type(config), architecture.picture_size(config)
    if config.model.WhichOneof("model") != "center_net" and "keras" not in kind:
        yield error(f"feature extractor {kind} is TF1's", "model", "detbox migrate writes the TF2 form")
    if "bifpn" in kind and size:
        # EfficientDet's pyramid doubles its coarsest level back up to the finest: 2^7 = 128 for levels 3 to
        # 7.
        stride = 2**config.model.ssd.feature_extractor.bifpn.max_level
        if size[0] % stride or size[1] % stride:
            yield error(
                f"pictures of {size[0]}x{size[1]} do not fit {kind}",
                "model.ssd.image_resizer",
                f"make both sides multiples of {stride}: --config_override / DETBOX_CONFIG_OVERRIDE",
            )


def _check_classes(config: Any, label_map: Mapping[int, str], boxes: Mapping[int, int] | None) -> Iterator[Finding]:
    num_classes, where = architecture.body(config).num_classes, config.train_input_reader.label_map_path
    highest = max(label_map, default=0)
    if highest != num_classes:
        yield error(
            f"label map has ids up to {highest}, the model {num_classes} classes",
            where,
            "num_classes must be the highest id: --config_override / DETBOX_CONFIG_OVERRIDE, or the label map",
        )
    for number in sorted(set(boxes or {}) - set(label_map)):
        yield error(
            f"records have boxes of class id {number}, which the label map lacks",
            where,
            "run detbox prepare again",
        )
    for number, name in label_map.items():
        if boxes is not None and not boxes.get(number):
            yield warning(f"class {name} has no box in the training records", where, "it can't be learnt")


def _check_records(config: Any, workers: int, find_files: Callable[[str], Collection[str]]) -> Iterator[Finding]:
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
                "prepare with more: --num_shards / DETBOX_NUM_SHARDS",
            )


def _check_schedule(config: Any) -> Iterator[Finding]:
    rate, steps = schedule.rate_message(config), config.train_config.num_steps
    length, warmup = schedule.length(config), schedule.warmup_of(rate)[0]
    where = "train_config.optimizer"
    remedy = "--num_train_steps / DETBOX_NUM_TRAIN_STEPS, or the schedule in --config_override"
    if not steps:
        yield error("num_steps is 0", "train_config", "--num_train_steps / DETBOX_NUM_TRAIN_STEPS")
    elif warmup >= steps:
        what = f"warm-up of {warmup} steps is as long as the run of {steps}"
        yield error(what, where, "--warmup_steps / DETBOX_WARMUP_STEPS")
    elif length and rate.WhichOneof("learning_rate") == "cosine_decay_learning_rate":
        if length < steps:
            yield error(f"learning rate is 0 from step {length} of {steps} on", where, remedy)
        if length > steps:
            what = f"schedule of {length} steps is cut off at {steps}: the rate does not come down"
            yield warning(what, where, remedy)
    elif length and length >= steps:
        what = f"last drop of the learning rate is at step {length}, the end at {steps}"
        yield warning(what, where, remedy)


def _check_batch(config: Any, replicas: int) -> Iterator[Finding]:
    batch = config.train_config.batch_size
    if batch < 1 or batch % replicas:
        near = max(1, round(batch / replicas)) * replicas
        what = f"batch_size {batch} does not divide by {replicas} replicas"
        yield error(what, "train_config", f"--batch_size={near} / DETBOX_BATCH_SIZE")


def _check_disk(checkpoint_bytes: int, kept: int, free_bytes: int | None) -> Iterator[Finding]:
    # One more while the newest is written, one more for the copy of the best.
    need = checkpoint_bytes * (kept + 2)
    if free_bytes is not None and need > free_bytes:
        yield error(
            f"checkpoints will take {need / 1e9:.1f} GB, {free_bytes / 1e9:.1f} GB are free",
            "models_dir",
            "free space, or keep fewer: --checkpoint_max_to_keep / DETBOX_CHECKPOINT_MAX_TO_KEEP",
        )
