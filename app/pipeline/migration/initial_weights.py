"""The checkpoint that a TF1 pipeline.config starts from, which no TF2 model loads."""

import re
from typing import Any

from app.pipeline.fine_tune import PLACEHOLDER
from app.pipeline.migration import tf2_counterpart
from app.pipeline.migration.change import Change, drop, replace, text_of
from app.protos import pipeline_config
from app.protos.pipeline_config import PipelineConfig

OBJECT_BASED = re.compile(r"(^|/)ckpt-\d+$")
"""How TF2 names its checkpoints; TF1's are called model.ckpt or model.ckpt-1234."""

FIELDS = ("fine_tune_checkpoint", "fine_tune_checkpoint_type", "from_detection_checkpoint")


def edit(config: PipelineConfig) -> tuple[list[Change], str]:
    """Drops a TF1 checkpoint. Returns the changes and the zoo's model to start from in its place, if there is one.

    A checkpoint that is named as TF2's are, or said to be of their form (V2), stays.
    """
    train = config.train_config
    given = train.fine_tune_checkpoint
    if OBJECT_BASED.search(given) or (given and train.fine_tune_checkpoint_version == pipeline_config.CHECKPOINT_V2):
        return _keep(train), ""
    if not given:
        why = "no fine_tune_checkpoint, so nothing to restore"
        return [change for name in FIELDS for change in drop(train, "train_config", name, why)], ""
    zoo = tf2_counterpart.zoo_model(config)
    instead = f"fine_tune_checkpoint={zoo} in its place" if zoo else "the zoo has none of this backbone in its place"
    what = "a TF1 checkpoint, which no TF2 model loads: names and layers differ"
    if PLACEHOLDER in given:
        what = "a placeholder that nobody has filled in"
    whys = {
        "fine_tune_checkpoint": f"{what}; {instead}",
        "fine_tune_checkpoint_type": "goes with the checkpoint; detbox's default is detection",
        "from_detection_checkpoint": "TF2 has fine_tune_checkpoint_type, which is detection by default",
    }
    return [change for name in FIELDS for change in drop(train, "train_config", name, whys[name])], zoo


def _keep(train: Any) -> list[Change]:
    changes = []
    if train.HasField("from_detection_checkpoint") and not train.fine_tune_checkpoint_type:
        kind = "detection" if train.from_detection_checkpoint else "classification"
        before = text_of(train.fine_tune_checkpoint_type)
        train.fine_tune_checkpoint_type = kind
        changes.append(
            Change("train_config.fine_tune_checkpoint_type", before, text_of(kind), "for from_detection_checkpoint")
        )
    changes += drop(train, "train_config", "from_detection_checkpoint", "TF2 has fine_tune_checkpoint_type")
    return changes + replace(
        train,
        "train_config",
        "fine_tune_checkpoint_version",
        pipeline_config.CHECKPOINT_V2,
        "the checkpoint is object-based (V2)",
    )
