"""Batch norm's moving averages, tied to the length of the run.

Evaluation and export normalize with moving averages: new = decay * old + (1 - decay) * batch. After n steps
the averages that the run started with still weigh decay**n: with the stock 0.997 and 400 steps 0.30, and the
same network that trains well evaluates at mAP 0.012 instead of 0.394. Averages are taken over about 1 / (1 -
decay) steps, so WINDOWS = 12 of these fit a run: 400 steps give 0.97 (old statistics weigh exp(-12) = 6e-6 at
the end, and the last window lies where a decaying schedule hardly moves the weights any more), 4000 steps and
more the stock 0.997.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from app.protos.fields import is_map
from app.protos.pipeline_config import DetectionModel, PipelineConfig
from app.settings import flag

WINDOWS = 12
"""Averaging windows in a run: 1 - 12 / 400 = 0.97, measured as above (BCCD, batch 8, 400 steps)."""

LOWEST = 0.9
"""Under ten steps of averaging a batch of 8 is too noisy to evaluate with."""

FIXED_BACKBONES = {"mobilenet": 0.9997, "resnet": 0.997}
"""Decay of upstream's Keras backbones where the config's does not reach them (models/keras_models)."""


def decay_for(steps: int) -> float:
    """The highest decay that still forgets the statistics a run of `steps` steps began with."""
    return round(max(LOWEST, 1 - WINDOWS / steps), 6)


def edit(config: PipelineConfig, *, steps: int, explicit: float | None) -> list[str]:
    """Sets every batch norm that trains to `explicit`, or lowers it to what `steps` allow. Returns notes."""
    limit = decay_for(steps)
    lowered: set[float] = set()
    for norm in trainable(config.model):
        if explicit is not None:
            norm.decay = explicit
        elif round(norm.decay, 6) > limit:
            lowered.add(round(norm.decay, 6))
            norm.decay = limit
    notes = []
    if lowered:
        before = max(lowered)
        notes.append(
            f"batch norm decay {before:g} lowered to {limit:g} for {steps} steps: the old averages would "
            f"still weigh {before**steps:.2g} at the end ({flag('batch_norm_decay')})"
        )
    fixed = fixed_decay(config.model)
    if fixed and fixed > limit:
        notes.append(_mend_fixed(config, fixed, steps))
    return notes


def _mend_fixed(config: PipelineConfig, decay: float, steps: int) -> str:
    """Freezes a fine-tuned Faster R-CNN backbone's batch norm, whose decay can't be set; else advises."""
    what = f"the backbone's batch norm has upstream's fixed decay of {decay:g}, too slow for {steps} steps"
    if config.model.WhichOneof("model") == "ssd":
        return f"{what}: set override_base_feature_extractor_hyperparams: true by --config_override"
    if config.train_config.fine_tune_checkpoint:
        config.model.faster_rcnn.feature_extractor.batch_norm_trainable = False
        return f"{what}: frozen at the checkpoint's statistics (batch_norm_trainable: false)"
    return f"{what}: start from a --fine_tune_checkpoint, or train longer"


def trainable(model: DetectionModel) -> list[Any]:
    """Every BatchNorm message of a DetectionModel whose statistics move in training.

    Its field `train` says nothing here: upstream's Keras models do not read it.
    """
    frozen = None
    if model.WhichOneof("model") == "ssd" and model.ssd.freeze_batchnorm:
        return []
    if model.WhichOneof("model") == "faster_rcnn" and not model.faster_rcnn.feature_extractor.batch_norm_trainable:
        frozen = model.faster_rcnn.feature_extractor
    return list(_walk(model, frozen))


def fixed_decay(model: DetectionModel) -> float | None:
    """The decay of a backbone whose batch norm trains out of the config's reach, else None."""
    kind = model.WhichOneof("model")
    if kind not in ("ssd", "faster_rcnn"):
        return None
    extractor = getattr(model, kind).feature_extractor
    frozen = model.ssd.freeze_batchnorm if kind == "ssd" else not extractor.batch_norm_trainable
    # Plain Faster R-CNN backbones never look at conv_hyperparams; those with a pyramid do when told to.
    reached = extractor.override_base_feature_extractor_hyperparams and (kind == "ssd" or "_fpn_" in extractor.type)
    if frozen or reached:
        return None
    return next((decay for name, decay in FIXED_BACKBONES.items() if name in extractor.type), None)


def _walk(message: Message, frozen: Message | None) -> Iterator[Any]:
    if message is frozen:
        return
    if message.DESCRIPTOR.name == "BatchNorm":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None or is_map(field):
            continue
        for child in [value] if isinstance(value, Message) else value:
            yield from _walk(child, frozen)
