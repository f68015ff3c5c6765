"""Which checkpoints on disk are whole, and which of them a run goes on from."""

import logging
from collections.abc import Iterable
from pathlib import Path

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection import train_seam

from app.errors import SettingsError

log = logging.getLogger(__name__)


def fault(prefix: Path | str) -> str | None:
    """What is wrong with the checkpoint `prefix`, or None: every tensor is read and its checksum compared."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, RuntimeError, ValueError, IndexError) as error:
        return str(error).splitlines()[0]
    return None


def newest_complete(prefixes: Iterable[Path]) -> str | None:
    """The last of `prefixes` (ascending by step) that is whole; broken ones are passed over, said and kept."""
    for prefix in reversed(list(prefixes)):
        what = fault(prefix)
        if what is None:
            return str(prefix)
        log.warning("checkpoint %s is broken and passed over: %s", prefix, what)
    return None


def shapes(prefix: str) -> dict[str, tuple[int, ...]]:
    """Keys of an object-based checkpoint with the shapes of their tensors. SettingsError if it is not one."""
    remedy = "a TF2 checkpoint: the folder with pipeline.config, or the prefix: --fine_tune_checkpoint"
    what = fault(prefix)
    if what:
        raise SettingsError(f"is no readable checkpoint: {what}", where=prefix, remedy=remedy)
    found = {name: tuple(shape) for name, shape in tf.train.list_variables(prefix)}
    if "_CHECKPOINTABLE_OBJECT_GRAPH" not in found:
        raise SettingsError("is a TF1 checkpoint, without an object graph", where=prefix, remedy=remedy)
    return found


def delete(folder: Path, steps: Iterable[int]) -> None:
    """Deletes `ckpt-<step>` of `steps` from `folder`: first from the list that readers follow, then on disk."""
    gone = set(steps)
    state = tf.train.get_checkpoint_state(str(folder))
    listed = [Path(path).name for path in (state.all_model_checkpoint_paths if state else ())]
    train_seam.write_checkpoint_state(str(folder), [name for name in listed if _step(name) not in gone])
    for step in gone:
        for path in sorted(folder.glob(f"ckpt-{step}.*"), reverse=True):
            path.unlink(missing_ok=True)


def _step(path: str) -> int | None:
    number = path.rpartition("ckpt-")[2]
    return int(number) if number.isdigit() else None
