"""How many boxes of an image a pipeline.config reads, proposes and puts out, held against the fullest image."""

from collections.abc import Iterator
from typing import Any

from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig

MEASURED = 100
"""Detections of a class on an image that COCO's figures count: COCOeval's highest `maxDets`."""


def edit(config: PipelineConfig, most: int) -> list[str]:
    """Raises each limit to `most`, the boxes on the fullest image: upstream drops the rest unsaid. Returns notes."""
    raised: dict[str, int] = {}
    for message, name in _limits(config):
        limit = getattr(message, name)
        if limit < most:
            raised[name] = min(limit, raised.get(name, limit))
            setattr(message, name, most)
    notes = [
        f"{name} raised from {limit} to {most}: an image of the set has {most} boxes" for name, limit in raised.items()
    ]
    if most > MEASURED:
        notes.append(
            f"an image has {most} boxes: COCO's figures count the best {MEASURED} detections of a class on each"
        )
    return notes


def _limits(config: PipelineConfig) -> Iterator[tuple[Any, str]]:
    """Messages, and the field of each that bounds the boxes of an image."""
    for message in (config.train_input_reader, config.eval_input_reader[0], config.train_config):
        yield message, "max_number_of_boxes"
    body = architecture.body(config)
    kind = config.model.WhichOneof("model")
    if kind == "faster_rcnn":
        yield body, "first_stage_max_proposals"
        suppression = body.second_stage_post_processing.batch_non_max_suppression
    elif kind == "ssd":
        suppression = body.post_processing.batch_non_max_suppression
    else:
        yield body.object_center_params, "max_box_predictions"
        if not body.post_processing.HasField("batch_non_max_suppression"):
            return
        suppression = body.post_processing.batch_non_max_suppression
    yield suppression, "max_detections_per_class"
    yield suppression, "max_total_detections"
