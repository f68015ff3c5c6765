"""Which checkpoints on disk are whole, and fit a model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from object_detection import train_seam
from object_detection.builders import model_builder
from tensorflow.core.protobuf import trackable_object_graph_pb2

from app.pipeline.checkpoint_index import SUFFIX
from app.pipeline.fine_tune_checks import OBJECT_GRAPH
from app.protos.pipeline_config import PipelineConfig
from app.run.directory import CHECKPOINT_PREFIX, Run, checkpoint_step
from app.run.evaluations import evaluated_steps
from app.training import retention

BUILT_SIDE = 256
"""Pixels of the image that a model is built with: what every family can take; variables don't depend on it."""


def fault(prefix: Path | str) -> str | None:
    """What is wrong with the checkpoint `prefix`, or None.

    Every tensor is read, its checksum compared, and its numbers must be finite.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        for name, dtype in reader.get_variable_to_dtype_map().items():
            value = reader.get_tensor(name)
            if dtype.is_floating and not np.isfinite(value).all():
                return f"not finite: {name.removesuffix(SUFFIX)}"
    except (tf.errors.OpError, RuntimeError, ValueError, IndexError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None


def verify_checkpoint(config: PipelineConfig, build: bool) -> tuple[str | None, list[str]]:
    """What is broken in the fine-tune checkpoint of a TrainEvalPipelineConfig, and the tensors that do not fit.

    With `build` the model is built, as a graph that nothing runs in (10 to 20 s): `detection` and the other types
    want every variable of a part of the model, in the checkpoint and of its shape. A line names each that is not.
    """
    prefix = config.train_config.fine_tune_checkpoint
    what = fault(prefix)
    return (what, []) if what or not build else (None, misfits(config, prefix))


def misfits(config: PipelineConfig, prefix: str) -> list[str]:
    """Variables that the config's type of fine-tuning wants and `prefix` lacks, or has in another shape."""
    reader, saved = read_object_graph(prefix)
    shapes = reader.get_variable_to_shape_map()
    with tf.Graph().as_default(), tf.device("/CPU:0"):
        model = _built(config)
        wanted = model.restore_from_objects(fine_tune_checkpoint_type=config.train_config.fine_tune_checkpoint_type)
        return sorted(_compare(tf.train.Checkpoint(**wanted), saved, shapes))


def read_object_graph(prefix: Path | str) -> tuple[Any, Any]:
    """A reader of the checkpoint `prefix`, and its object graph."""
    reader = tf.train.load_checkpoint(str(prefix))
    return reader, trackable_object_graph_pb2.TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH))


def _built(config: PipelineConfig) -> Any:
    """The config's model with all of its variables, in the graph of the moment."""
    model = model_builder.build(config.model, is_training=True)
    side = BUILT_SIDE
    images, shapes = model.preprocess(tf.zeros([1, side, side, 3]))
    classes = [tf.zeros([1, model.num_classes])]
    model.provide_groundtruth([tf.zeros([1, 4])], classes, groundtruth_weights_list=[tf.ones([1])])
    model.predict(images, shapes)
    return model


def _compare(root: Any, saved: Any, shapes: Mapping[str, Sequence[int]]) -> Iterator[str]:
    matched: set[int] = set()
    missing: dict[int, str] = {}
    for variable, key, place in match_variables(root, saved):
        if key in shapes:
            matched.add(id(variable))
            if list(shapes[key]) != variable.shape.as_list():
                yield f"{place} {list(shapes[key])} there, {variable.shape.as_list()} here"
        else:
            missing.setdefault(id(variable), place)
    yield from (f"{place} is not there" for number, place in missing.items() if number not in matched)


def match_variables(root: Any, saved: Any) -> Iterator[tuple[Any, str, str]]:
    """The variables under `root` with their keys in a checkpoint (empty without one) and their places.

    Walks objects and the checkpoint's object graph side by side, by the names of their edges; a variable with several
    places comes with each.
    """
    view = tf.train.TrackableView(root)
    queue, seen = [(root, 0, "")], set()
    while queue:
        node, number, path = queue.pop(0)
        edges = {child.local_name: child.node_id for child in saved.nodes[number].children} if number >= 0 else {}
        for name, child in view.children(node).items():
            place, there = f"{path}{name}", edges.get(name, -1)
            if isinstance(child, tf.Variable):
                key = next((a.checkpoint_key for a in saved.nodes[there].attributes), "") if there >= 0 else ""
                yield child, key, place
            elif (id(child), there >= 0) not in seen:
                seen.add((id(child), there >= 0))
                queue.append((child, there, f"{place}/"))


def delete(folder: Path, steps: Iterable[int]) -> None:
    """Deletes `ckpt-<step>` of `steps` from `folder`: first from the list that readers follow, then on disk."""
    gone = set(steps)
    state = tf.train.get_checkpoint_state(str(folder))
    listed = [Path(path).name for path in (state.all_model_checkpoint_paths if state else ())]
    train_seam.write_checkpoint_state(str(folder), [name for name in listed if checkpoint_step(name) not in gone])
    for step in gone:
        for path in sorted(folder.glob(f"{CHECKPOINT_PREFIX}{step}.*"), reverse=True):
            path.unlink(missing_ok=True)


def delete_backlog(run: Run, max_to_keep: int) -> None:
    """Deletes the checkpoints that the trainer kept for the evaluator only, once both are done."""
    plan = retention.plan_retention(
        run.checkpoint_steps(), evaluated_steps(run), max_to_keep=max_to_keep, backlog_max=0
    )
    delete(run.root, plan.delete)
