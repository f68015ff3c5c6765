"""What a pipeline.config asks for that a model can't be built from, or can't be trained on with these boxes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.pipeline.finding import Finding, error
from app.protos import architecture, fields
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

OVERRIDE = f"change it in the model's pipeline.config, or by {flag('config_override')}"
OTHER_MODEL = f"choose a model of boxes: {flag('model')}"


def check(config: PipelineConfig) -> Iterator[Finding]:
    """Faults that show without a data set: files that are not there, proposals, groundtruth that is not loaded."""
    yield from _check_paths(config)
    if config.model.WhichOneof("model") == "faster_rcnn":
        yield from _check_proposals(config.model.faster_rcnn)
    for task, what, option, loaded in _groundtruth(config):
        missing = [name for name, reader in _readers(config) if not getattr(reader, option)]
        if missing and loaded is not None:
            remedy = f"{missing[0]} {{ {option}: {loaded} }} in the pipeline.config, or {OTHER_MODEL}"
            yield error(f"the model learns {what}, and {missing[0]} does not load them", task, remedy)


def check_boxes(config: PipelineConfig, *, masks: bool, keypoints: int) -> Iterator[Finding]:
    """Faults that show with the records: `masks`, `keypoints` (how many): what their boxes have."""
    there = {"load_instance_masks": masks, "num_keypoints": keypoints}
    for task, what, option, _ in _groundtruth(config):
        if not there.get(option):
            yield error(f"the model learns {what}, and no box of the data set has any", task, OTHER_MODEL)
    for name, reader in _readers(config):
        if keypoints and reader.num_keypoints not in (0, keypoints):
            what = f"{reader.num_keypoints} keypoints, boxes of the data set have {keypoints}"
            yield error(what, f"{name}.num_keypoints", OVERRIDE)


def _check_paths(config: PipelineConfig) -> Iterator[Finding]:
    """Files that the config names; those that detbox sets itself are checked elsewhere."""
    for field in fields.walk(config.model, "model"):
        if field.name.endswith("_path") and field.value and not Path(field.value).exists():
            yield error(f"no such file: {field.value}", field.path, OVERRIDE)


def _check_proposals(model: Any) -> Iterator[Finding]:
    if model.number_of_stages > 1 and model.second_stage_batch_size > model.first_stage_max_proposals:
        what = (
            f"the second stage trains on {model.second_stage_batch_size} proposals of an image, the first gives "
            f"{model.first_stage_max_proposals}"
        )
        remedy = f"second_stage_batch_size {model.first_stage_max_proposals} at most: {flag('config_override')}"
        yield error(what, "model.faster_rcnn.first_stage_max_proposals", remedy)


def _groundtruth(config: PipelineConfig) -> Iterator[tuple[str, str, str, Any]]:
    """What the model learns beside boxes: its field, its name, the reader's option for it, the option's value.

    The value is None where the reader needs no option.
    """
    kind, model = config.model.WhichOneof("model"), architecture.body(config)
    if kind == "faster_rcnn":
        predictor = model.second_stage_box_predictor.mask_rcnn_box_predictor
        if model.number_of_stages > 2 and predictor.predict_instance_masks:
            place = "model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks"
            yield place, "instance masks", "load_instance_masks", "true"
    if kind != "center_net":
        return
    for number, task in enumerate(model.keypoint_estimation_task):
        place = f"model.center_net.keypoint_estimation_task[{number}]"
        yield place, f"keypoints ({task.task_name or task.keypoint_class_name})", "num_keypoints", "NUMBER"
    for name, what, option in (
        ("mask_estimation_task", "instance masks", "load_instance_masks"),
        ("deepmac_mask_estimation", "instance masks", "load_instance_masks"),
        ("densepose_estimation_task", "DensePose points", "load_dense_pose"),
        ("track_estimation_task", "tracks", "load_track_id"),
        ("temporal_offset_task", "temporal offsets", "load_track_id"),
    ):
        if model.HasField(name):
            yield f"model.center_net.{name}", what, option, "true"


def _readers(config: PipelineConfig) -> list[tuple[str, Any]]:
    return [("train_input_reader", config.train_input_reader), ("eval_input_reader", config.eval_input_reader[0])]
