"""Detection by a SavedModel of any of the OD API's four input types."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from app.detection.batching import by_size
from app.detection.detections import NEEDED, Detections, of_batch, tensor
from app.detection.refusal import refusal


class SavedModel:
    """The detector in a SavedModel's folder, TF2's or TF1's, made by detbox or by upstream's exporter."""

    def __init__(self, folder: Path):
        """Raises SettingsError for a model that is no detector, and anything for what is none; see `loader.load`."""
        # Kept: a signature does not keep the variables of its model alive.
        self._model = tf.saved_model.load(str(folder))
        self._signature = _signature(self._model.signatures, folder)
        (self._input,) = self._signature.structured_input_signature[1].values()
        self.form = _form(self._signature, self._input)
        self._takes_batches = self._input.shape.rank is None or self._input.shape[0] != 1

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As `Loaded.detect`; images of one size go through in one call, unless the model takes one at a time."""
        return by_size(images, self._run, whole_batches=self._takes_batches)

    def signature(self) -> dict[str, Any]:
        """As `LoadedExport.signature`."""
        outputs = self._signature.structured_outputs
        return {
            "inputs": {self._input.name: tensor(self._input)},
            "outputs": {name: tensor(spec) for name, spec in sorted(outputs.items())},
        }

    def request(self, image: np.ndarray) -> dict[str, bytes]:
        """As `LoadedSavedModel.request`."""
        value = tf.make_tensor_proto(self._value(image[np.newaxis]).numpy(), self._input.dtype)
        return {self._input.name: value.SerializeToString()}

    def _run(self, stack: np.ndarray) -> list[Detections]:
        outputs = self._signature(**{self._input.name: self._value(stack)})
        return of_batch({key: part.numpy() for key, part in outputs.items()})

    def _value(self, stack: np.ndarray) -> tf.Tensor:
        if self._input.dtype == tf.string:
            encode = _example if self.form == "tf_example" else _png
            return tf.constant([encode(image) for image in stack])
        return tf.cast(stack, self._input.dtype)


def _signature(signatures: Any, folder: Path) -> Any:
    """The signature that detects: `serving_default` if there is one that does, else the first."""
    usable = {
        key: signature
        for key, signature in signatures.items()
        if set(NEEDED) <= set(signature.structured_outputs) and len(signature.structured_input_signature[1]) == 1
    }
    if not usable:
        raise refusal(folder, f"has no signature with one input and the outputs {', '.join(NEEDED)}")
    return usable.get("serving_default") or next(iter(usable.values()))


def _form(signature: Any, spec: tf.TensorSpec) -> str:
    if spec.dtype != tf.string:
        return "image_tensor" if spec.dtype == tf.uint8 else "float_image_tensor"
    graph = signature.graph.as_graph_def()
    kinds = {node.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for node in nodes}
    return "tf_example" if any(kind.startswith("Parse") for kind in kinds) else "encoded_image_string_tensor"


def _png(image: np.ndarray) -> bytes:
    """`image` without loss, and quickly."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _example(image: np.ndarray) -> bytes:
    def feature(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = {"image/encoded": feature(_png(image)), "image/format": feature(b"png")}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
