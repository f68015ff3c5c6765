"""The weights that a run starts from."""

from app.errors import SettingsError
from app.pipeline.origin import RANDOM_WEIGHTS, checkpoint_prefix
from app.protos import pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

PLACEHOLDER = "PATH_TO_BE_CONFIGURED"
"""What the model zoo's configs hold in place of paths."""

DEFAULT_TYPE = "detection"
TYPES = {
    "ssd": ("detection", "classification", "full"),
    "faster_rcnn": ("detection", "classification", "full"),
    "center_net": ("detection", "classification", "full"),
}
"""What each meta-architecture's `restore_from_objects` takes."""


def edit(config: PipelineConfig, *, checkpoint: str, checkpoint_type: str) -> list[str]:
    """Points `train_config` at `checkpoint`; without one, takes out the zoo's placeholder. Returns notes.

    `none` takes out any checkpoint.
    """
    train = config.train_config
    if checkpoint == RANDOM_WEIGHTS:
        checkpoint = ""
        train.ClearField("fine_tune_checkpoint")
    if checkpoint:
        train.fine_tune_checkpoint = checkpoint_prefix(checkpoint)
        train.fine_tune_checkpoint_type = checkpoint_type or DEFAULT_TYPE
    elif not train.fine_tune_checkpoint or PLACEHOLDER in train.fine_tune_checkpoint:
        for field in ("fine_tune_checkpoint", "fine_tune_checkpoint_type", "fine_tune_checkpoint_version"):
            train.ClearField(field)
        if checkpoint_type:
            raise SettingsError(
                f"fine_tune_checkpoint_type {checkpoint_type!r} is given without a checkpoint",
                remedy=flag("fine_tune_checkpoint"),
            )
        return ["no fine_tune_checkpoint: all weights start at random"]
    elif checkpoint_type:
        train.fine_tune_checkpoint_type = checkpoint_type
    train.fine_tune_checkpoint_version = pipeline_config.CHECKPOINT_V2
    return _mend_type(config)


def _mend_type(config: PipelineConfig) -> list[str]:
    train, kind = config.train_config, config.model.WhichOneof("model")
    given = train.fine_tune_checkpoint_type or DEFAULT_TYPE
    train.fine_tune_checkpoint_type = given
    if given in TYPES[kind]:
        return []
    if given == "fine_tune" and kind == "center_net":
        train.fine_tune_checkpoint_type = DEFAULT_TYPE
        return ["fine_tune_checkpoint_type fine_tune written as detection: upstream renamed it for CenterNet"]
    raise SettingsError(
        f"{kind} has no fine_tune_checkpoint_type {given!r}",
        remedy=f"one of {', '.join(TYPES[kind])}: {flag('fine_tune_checkpoint_type')}",
    )
