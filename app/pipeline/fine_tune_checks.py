"""Whether the checkpoint that a run is to start from can be started from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.errors import SettingsError
from app.humanize import list_names
from app.pipeline import checkpoint_index, origin
from app.pipeline.finding import Finding, error
from app.protos import architecture, pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key that every object-based (TF2) checkpoint has."""

REMEDY = flag("fine_tune_checkpoint")
TYPE_REMEDY = flag("fine_tune_checkpoint_type")
MODEL_REMEDY = "leave --model out, so that the checkpoint's own is taken, or another --fine_tune_checkpoint"

KEYS = {
    ("ssd", "detection"): "model/_feature_extractor/",
    ("faster_rcnn", "detection"): "model/_feature_extractor_for_box_classifier_features/",
    ("center_net", "detection"): "model/_feature_extractor/",
}
"""Where `restore_from_objects` of each meta-architecture looks; the other types are the same for all."""

SHAPING = (
    "type", "depth_multiplier", "min_depth", "use_depthwise",
    "fpn.min_level", "fpn.max_level", "fpn.additional_layer_depth",
    "bifpn.min_level", "bifpn.max_level", "bifpn.num_iterations", "bifpn.num_filters",
)  # fmt: skip
"""Fields of a feature extractor that say which variables it has, and of what shape."""

PER_CLASS = ("class_predict", "object_center")
"""What keys of tensors with a place for each class have in them."""

NAMED = 4
"""Tensors that a finding names; of the others it gives the number."""


VerifyCheckpoint = Callable[[Any, bool], tuple[str | None, Sequence[str]]]
"""Reads a config's checkpoint whole and, if asked, builds the model: what is broken, and which tensors do not fit."""


def check(
    config: PipelineConfig,
    shapes: Mapping[str, Sequence[int]] | None = None,
    verify_checkpoint: VerifyCheckpoint | None = None,
) -> list[Finding]:
    """Faults of the fine-tune checkpoint's files, of its keys, and of what it was made for.

    `shapes`: keys to shapes, where they are known already; else the index is read. `verify_checkpoint`: what TensorFlow
    finds (`odapi.checkpoints.verify_checkpoint`), where it is at hand.
    """
    prefix = config.train_config.fine_tune_checkpoint
    if not prefix:
        return []
    if faults := _check_files(prefix):
        return faults
    if shapes is None:
        index = checkpoint_index.read(prefix)
        if index is None:
            return [error("index can't be read", f"{prefix}.index", f"fetch it again, or {REMEDY}")]
        shapes = {key: tensor.shape for key, tensor in index.items()}
    faults = _check_keys(config, shapes) or list(_check_model(config, shapes))
    if faults or verify_checkpoint is None:
        return faults
    broken, misfits = verify_checkpoint(config, _needs_building(config))
    if broken:
        return [error(f"can't be read whole: {broken}", prefix, f"fetch it again, or {REMEDY}")]
    if misfits:
        what = f"{len(misfits)} tensors of the model are not in it, or of another shape: {list_names(misfits, NAMED)}"
        return [error(what, prefix, f"{MODEL_REMEDY}; or take less of it: {TYPE_REMEDY}")]
    return []


def notes(config: PipelineConfig) -> list[str]:
    """What of the checkpoint is not taken, and why: for the log."""
    train = config.train_config
    prefix, given = train.fine_tune_checkpoint, train.fine_tune_checkpoint_type
    index = checkpoint_index.read(prefix) if prefix else None
    if not index or given == "full":
        return []
    taken = {key for key in index if key.startswith(_places(config)["detection"].rstrip("/"))}
    left = [key for key in index if key.startswith("model/") and key not in taken]
    if given != "detection" or not taken or not left:
        return []
    there, here = _classes_beside(prefix), architecture.body(config).num_classes
    line = (
        f"of the checkpoint {len(taken)} tensors of the feature extractor are taken; the {len(left)} of its heads "
        "are not, ours start at random"
    )
    if there == here:
        return [f"{line} (it has {there} classes too: if they are the same ones, {TYPE_REMEDY}=full takes the heads)"]
    return [f"{line}: it has {there} classes, the set {here}" if there else line]


def _needs_building(config: PipelineConfig) -> bool:
    """Whether only a built model can tell if the tensors fit: no config says what the checkpoint was made for."""
    train = config.train_config
    return train.fine_tune_checkpoint_type == "full" or _beside(train.fine_tune_checkpoint) is None


def _check_files(prefix: str) -> list[Finding]:
    index = Path(f"{prefix}.index")
    if not index.is_file():
        return [error("is no checkpoint: there is no such .index file", prefix, REMEDY)]
    if Path(f"{prefix}.meta").is_file():
        return [error("is a TF1 checkpoint, which no TF2 model loads", prefix, f"take a TF2 one: {REMEDY}")]
    if index.read_bytes()[-8:] != checkpoint_index.MAGIC:
        return [error("index file is cut short or no checkpoint's", str(index), f"fetch it again, or {REMEDY}")]
    parts = list(index.parent.glob(f"{index.name.removesuffix('.index')}.data-*-of-*"))
    wanted = {int(part.name.rsplit("-", 1)[1]) for part in parts}
    if not parts or wanted != {len(parts)} or not all(part.stat().st_size for part in parts):
        return [error("has an index, but not all of its .data files", prefix, f"fetch it again, or {REMEDY}")]
    return []


def _places(config: PipelineConfig) -> dict[str, str]:
    return {
        "detection": KEYS[config.model.WhichOneof("model"), "detection"],
        "classification": "feature_extractor/",
        "full": "model/",
    }


def _check_keys(config: PipelineConfig, shapes: Mapping[str, Sequence[int]]) -> list[Finding]:
    train, kind = config.train_config, config.model.WhichOneof("model")
    prefix, given = train.fine_tune_checkpoint, train.fine_tune_checkpoint_type or "detection"
    if OBJECT_GRAPH not in shapes:
        return [error("is not object-based (a TF1 checkpoint?)", prefix, f"take a TF2 one: {REMEDY}")]
    places = _places(config)
    if given not in places:
        return [error(f"{kind} has no fine_tune_checkpoint_type {given!r}", "train_config", TYPE_REMEDY)]
    if any(key.startswith(places[given]) for key in shapes):
        return []
    fitting = [name for name, place in places.items() if any(key.startswith(place) for key in shapes)]
    remedy = f"{fitting[0]} would fit: {TYPE_REMEDY}" if fitting else f"is it another model's? {REMEDY}"
    return [error(f"has nothing that {kind} takes as {given!r} ({places[given]}...)", prefix, remedy)]


def _check_model(config: PipelineConfig, shapes: Mapping[str, Sequence[int]]) -> Iterator[Finding]:
    """What the pipeline.config beside the checkpoint has otherwise than the run's."""
    train = config.train_config
    prefix, given = train.fine_tune_checkpoint, train.fine_tune_checkpoint_type
    theirs = _beside(prefix)
    if theirs is None or given == "classification":
        return
    differing = list(_differences(theirs, config))
    if differing:
        place = _places(config)["detection"]
        orphans = [f"{key.removesuffix(checkpoint_index.SUFFIX)} {list(shape)}" for key, shape in shapes.items()
                   if key.startswith(place) and shape]  # fmt: skip
        what = (
            f"was made for another model, {', '.join(differing)}: its tensors do not fit: {list_names(orphans, NAMED)}"
        )
        yield error(what, prefix, MODEL_REMEDY)
        return
    there, here = architecture.body(theirs).num_classes, architecture.body(config).num_classes
    if given == "full" and there != here:
        heads = [f"{key.removesuffix(checkpoint_index.SUFFIX)} {list(shape)}" for key, shape in shapes.items()
                 if any(word in key for word in PER_CLASS)]  # fmt: skip
        what = f"has heads for {there} classes, the model has {here}" + (
            f": {list_names(heads, NAMED)}" if heads else ""
        )
        yield error(what, prefix, f"take all but the heads: --fine_tune_checkpoint_type=detection ({TYPE_REMEDY})")


def _differences(theirs: Any, ours: Any) -> Iterator[str]:
    there, here = architecture.body(theirs).feature_extractor, architecture.body(ours).feature_extractor
    for path in SHAPING:
        a, b = _field(there, path), _field(here, path)
        if a != b:
            yield f"feature_extractor.{path} {a} there, {b} here"
            if path == "type":
                return


def _field(message: Any, path: str) -> Any:
    """The value of `a.b` in a message; None where it has no such field, or no `a`."""
    for name in path.split("."):
        if name not in message.DESCRIPTOR.fields_by_name:
            return None
        if message.DESCRIPTOR.fields_by_name[name].message_type is not None and not message.HasField(name):
            return None
        message = getattr(message, name)
    return message


def _beside(prefix: str) -> Any | None:
    """The pipeline.config that the checkpoint was made with, if it lies there and is of a known kind."""
    try:
        path = origin.config_beside(prefix)
        if path is None:
            return None
        config = pipeline_config.read_pipeline(path)
        architecture.body(config)
        return config
    except (SettingsError, OSError):
        return None


def _classes_beside(prefix: str) -> int | None:
    theirs = _beside(prefix)
    return architecture.body(theirs).num_classes if theirs is not None else None
