"""Detection by a frozen graph: one GraphDef without variables, with the tensor names of TF1's exporter."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from app.detection.batching import by_size
from app.detection.detections import NEEDED, Detections, of_batch, tensor
from app.detection.refusal import refusal

INPUT = "image_tensor"


OUTPUTS = (*NEEDED, "num_detections")


EXTRAS = ("detection_masks", "detection_keypoints", "detection_keypoint_scores")
"""What TF1's graphs have besides where the model has it."""


class FrozenGraph:
    """The detector in a `.pb` or `.pbtxt` file, made by detbox or by TF1's `export_inference_graph`."""

    form = "frozen_graph"

    def __init__(self, path: Path):
        """Raises SettingsError for a model that is no detector, and anything for what is none; see `loader.load`."""
        graph = _read(path)
        missing = {INPUT, *OUTPUTS} - {node.name for node in graph.node}
        if missing:
            raise refusal(path, f"is a graph without {', '.join(sorted(missing))}: no detector's frozen graph")
        imported = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(graph, name=""), [])
        self._input = imported.graph.get_tensor_by_name(f"{INPUT}:0")
        self._detect = imported.prune(
            self._input, {key: imported.graph.get_tensor_by_name(f"{key}:0") for key in OUTPUTS}
        )
        self._takes_batches = self._input.shape.rank is None or self._input.shape[0] != 1

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As `Loaded.detect`."""
        return by_size(images, self._run, whole_batches=self._takes_batches)

    def signature(self) -> dict[str, Any]:
        """As `LoadedExport.signature`, under the tensors' own names."""
        outputs = self._detect.structured_outputs
        return {
            "inputs": {self._input.name: tensor(self._input)},
            "outputs": {f"{name}:0": tensor(spec) for name, spec in sorted(outputs.items())},
        }

    def _run(self, stack: np.ndarray) -> list[Detections]:
        found = self._detect(tf.cast(stack, self._input.dtype))
        return of_batch({key: part.numpy() for key, part in found.items()})


def _read(path: Path) -> tf.compat.v1.GraphDef:
    graph = tf.compat.v1.GraphDef()
    try:
        if path.suffix == ".pbtxt":
            text_format.Parse(path.read_text(encoding="utf-8"), graph)
        else:
            graph.ParseFromString(path.read_bytes())
    except (DecodeError, text_format.ParseError, UnicodeDecodeError):
        raise refusal(path, "is no GraphDef") from None
    return graph
