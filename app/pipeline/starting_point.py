"""Whether the checkpoint that a run is to start from can be started from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.pipeline.finding import Finding, error

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key that every object-based (TF2) checkpoint has."""

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
"""The last eight bytes of a checkpoint's index, which is an LSM table (tensorflow/core/lib/io/format.h)."""

REMEDY = "--fine_tune_checkpoint / DETBOX_FINE_TUNE_CHECKPOINT"
TYPE_REMEDY = "--fine_tune_checkpoint_type / DETBOX_FINE_TUNE_CHECKPOINT_TYPE"

KEYS = {
    ("ssd", "detection"): "model/_feature_extractor/",
    ("faster_rcnn", "detection"): "model/_feature_extractor_for_box_classifier_features/",
    ("center_net", "detection"): "model/_feature_extractor/",
}
"""Where `restore_from_objects` of each meta-architecture looks; the other types are the same for all."""


def check(config: Any, shapes: Mapping[str, Sequence[int]] | None) -> list[Finding]:
    """Faults of the fine-tune checkpoint's files and, where `shapes` (keys to shapes) are known, keys."""
    prefix = config.train_config.fine_tune_checkpoint
    if not prefix:
        return []
    faults = _check_files(prefix)
    if not faults and shapes is not None:
        faults = _check_keys(config, shapes)
    return faults


def _check_files(prefix: str) -> list[Finding]:
    index = Path(f"{prefix}.index")
    if not index.is_file():
        return [error("is no checkpoint: there is no such .index file", prefix, REMEDY)]
    if Path(f"{prefix}.meta").is_file():
        return [error("is a TF1 checkpoint, which no TF2 model loads", prefix, f"take a TF2 one: {REMEDY}")]
    if index.read_bytes()[-8:] != TABLE_MAGIC:
        return [error("index file is cut short or no checkpoint's", str(index), f"fetch it again, or {REMEDY}")]
    parts = list(index.parent.glob(f"{index.name.removesuffix('.index')}.data-*-of-*"))
    wanted = {int(part.name.rsplit("-", 1)[1]) for part in parts}
    if not parts or wanted != {len(parts)} or not all(part.stat().st_size for part in parts):
        return [error("has an index, but not all of its .data files", prefix, f"fetch it again, or {REMEDY}")]
    return []


def _check_keys(config: Any, shapes: Mapping[str, Sequence[int]]) -> list[Finding]:
    train, kind = config.train_config, config.model.WhichOneof("model")
    prefix, given = train.fine_tune_checkpoint, train.fine_tune_checkpoint_type or "detection"
    if OBJECT_GRAPH not in shapes:
        return [error("is not object-based (a TF1 checkpoint?)", prefix, f"take a TF2 one: {REMEDY}")]
    places = {
        "detection": KEYS[kind, "detection"],
        "classification": "feature_extractor/",
        "full": "model/",
    }
    if any(key.startswith(places[given]) for key in shapes):
        return []
    fitting = [name for name, place in places.items() if any(key.startswith(place) for key in shapes)]
    remedy = f"{fitting[0]} would fit: {TYPE_REMEDY}" if fitting else f"is it another model's? {REMEDY}"
    return [error(f"has nothing that {kind} takes as {given!r} ({places[given]}...)", prefix, remedy)]
