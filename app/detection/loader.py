"""An exported detector, whatever its form, made ready to run on images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from app.detection.detections import Detections
from app.detection.refusal import refusal
from app.errors import DetboxError
from app.run.directory import CARD
from app.run.files import read_object
from app.run.heartbeat import first_line


class Loaded(Protocol):
    """A detector that was read from files.

    `form`: image_tensor, float_image_tensor, encoded_image_string_tensor, tf_example, frozen_graph, tflite or onnx.
    """

    form: str

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """What is on each of `images` (uint8, height x width x 3, RGB; they may differ in size)."""


class LoadedExport(Loaded, Protocol):
    """One that tells what goes in and what comes out."""

    def signature(self) -> dict[str, Any]:
        """`inputs` and `outputs`: name to `shape` (None where it varies) and `dtype`, as the model itself has them."""


class LoadedSavedModel(LoadedExport, Protocol):
    """One that a server can have."""

    def request(self, image: np.ndarray) -> dict[str, bytes]:
        """What a server is asked for one image: the input's name, and its value as a serialized TensorProto."""


def load(path: Path) -> LoadedExport:
    """The detector in `path`: an export of ours or of upstream's, or a TF1 frozen graph.

    TensorFlow's devices must have been chosen (`odapi.runtime.start`). Raises SettingsError for what is none of
    these: a folder without a SavedModel, a graph without a detector's tensors, a file that does not parse.
    """
    model = model_of(path)
    try:
        return _load(model)
    except (DetboxError, MemoryError):
        raise
    except Exception as error:  # What parses such files raises nearly anything.
        if type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's own MemoryError
            raise
        raise refusal(model, f"does not load: {first_line(error)}") from error


def _load(model: Path) -> LoadedExport:
    if model.is_dir():
        from app.detection.saved_model import SavedModel

        return SavedModel(model)
    if model.suffix in (".pb", ".pbtxt"):
        from app.detection.frozen_graph import FrozenGraph

        return FrozenGraph(model)
    if model.suffix == ".tflite":
        from app.detection.tflite_model import TFLiteModel

        return TFLiteModel(model)
    from app.detection.onnx_model import OnnxModel

    return OnnxModel(model)


def model_of(path: Path) -> Path:
    """The SavedModel's folder or the one file that `path` stands for. Nothing is loaded; SettingsError as in `load`."""
    if path.is_dir():
        named = read_object(path / CARD).get("model")
        for folder in [path / named] if isinstance(named, str) else [path, path / "saved_model"]:
            if (folder / "saved_model.pb").is_file() or (folder / "saved_model.pbtxt").is_file():
                return folder
            if folder.is_file():
                return folder
        raise refusal(path, "no SavedModel is in this folder")
    if not path.is_file():
        raise refusal(path, "no such file")
    if path.name in ("saved_model.pb", "saved_model.pbtxt"):
        return path.parent
    if path.suffix not in (".pb", ".pbtxt", ".tflite", ".onnx"):
        raise refusal(path, "is no exported detector")
    return path
