"""A checkpoint's model, built: as a detector, and as what exports are made of."""

from typing import TYPE_CHECKING

from app.checkpoint import Checkpoint
from app.odapi import runtime

if TYPE_CHECKING:
    from app.odapi.checkpoint_detector import CheckpointDetector
    from app.odapi.exporter import Exporter


def load_detector(checkpoint: Checkpoint, *, use_gpu: bool) -> "CheckpointDetector":
    """TensorFlow started, if it has not been, and the checkpoint as a detector."""
    runtime.start(use_gpu=use_gpu)
    from app.odapi.checkpoint_detector import CheckpointDetector

    return CheckpointDetector(checkpoint.pipeline_config, checkpoint.prefix)


def load_models(checkpoint: Checkpoint) -> "tuple[CheckpointDetector, Exporter]":
    """The same on the CPU, and the checkpoint as what exports are made of."""
    detector = load_detector(checkpoint, use_gpu=False)
    from app.odapi.exporter import Exporter

    return detector, Exporter(checkpoint.pipeline_config, checkpoint.prefix)
