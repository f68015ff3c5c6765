"""An export's files, in each of the formats."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from app.detection.sidecar_files import TFLITE_LABELS
from app.errors import DetboxError
from app.export.formats import FILES, FROZEN, INT8, SAVED_MODELS, TFLITE
from app.settings import flag

OPSET = 17
"""ONNX's operators as of 2022: what every runtime in use has."""


class ModelExporter(Protocol):
    """One checkpoint's model as the functions that exports are made of: `odapi.exporter.Exporter`."""

    def saved_model(self, folder: Path, input_type: str, signature_key: str) -> None: ...
    def checkpoint(self, folder: Path) -> None: ...
    def concrete(self, input_type: str) -> Any: ...
    def for_one_image(self) -> Any: ...
    def tflite_saved_model(self, folder: Path) -> None: ...
    def input_of_network(self) -> dict[str, Any]: ...
    def prepared(self, image: np.ndarray) -> np.ndarray: ...


class FormatWriter:
    """Writes one checkpoint's model in each of the formats.

    `labels`: the names of classes 1 and up. `images`: uint8, height x width x 3, of what the model is for; only
    int8 asks for them. `workspace`: an empty folder for what several forms share.
    """

    def __init__(
        self,
        exporter: ModelExporter,
        *,
        name: str,
        labels: Sequence[str],
        signature_key: str,
        images: Callable[[], Iterable[np.ndarray]],
        workspace: Path,
    ):
        self._exporter, self._name, self._labels = exporter, name, labels
        self._signature_key, self._images, self._workspace = signature_key, images, workspace
        self._frozen: Any = None

    def write(self, form: str, folder: Path) -> Path:
        """Writes `form` into `folder`, which is there, and returns what a program loads: a file or a folder.

        Raises SettingsError if the checkpoint does not fit its pipeline.config, DetboxError if a converter fails.
        """
        if form in SAVED_MODELS:
            target = folder / "saved_model"
            self._exporter.saved_model(target, form, self._signature_key)
            self._exporter.checkpoint(folder / "checkpoint")
            return target
        target = folder / FILES[form]
        if form in FROZEN:
            self._freeze(target)
        elif form in TFLITE:
            self._tflite(form, target)
        else:
            self._onnx(target)
        return target

    def saved_model(self, form: str, folder: Path) -> None:
        """Writes the SavedModel of one input type into `folder` itself."""
        self._exporter.saved_model(folder, form, self._signature_key)

    def _freeze(self, target: Path) -> None:
        from app.export import frozen_graph

        if self._frozen is None:
            self._frozen = frozen_graph.freeze(self._exporter.concrete("image_tensor"))
        frozen_graph.write(self._frozen, target)

    def _tflite(self, form: str, target: Path) -> None:
        from app.export import tflite_annotation, tflite_converter, tflite_metadata

        source = self._workspace / "tflite"
        if not source.is_dir():
            self._exporter.tflite_saved_model(source)
        prepared = [self._exporter.prepared(image) for image in self._images()] if form == INT8 else ()
        data = tflite_converter.convert(source, form, prepared)
        input_of_network = self._exporter.input_of_network()
        description = tflite_metadata.describe(
            name=self._name, mean=input_of_network["mean"], std=input_of_network["std"]
        )
        target.write_bytes(tflite_annotation.annotate(data, input_of_network, description, self._labels))
        labels = "".join(f"{label}\n" for label in self._labels)
        target.with_name(TFLITE_LABELS).write_text(labels, encoding="utf-8")

    def _onnx(self, target: Path) -> None:
        import tf2onnx

        from app.detection.frozen_graph import EXTRAS, INPUT, OUTPUTS
        from app.export import frozen_graph

        # From a frozen graph, and not by `from_function`, which makes inputs of a model's captured constants.
        graph = frozen_graph.freeze(self._exporter.for_one_image())
        outputs = [node.name for node in graph.node if node.name in (*OUTPUTS, *EXTRAS)]
        try:
            tf2onnx.convert.from_graph_def(
                graph,
                input_names=[f"{INPUT}:0"],
                output_names=[f"{name}:0" for name in outputs],
                tensors_to_rename={f"{name}:0": name for name in [INPUT, *outputs]},
                opset=OPSET,
                output_path=str(target),
            )
        except (ValueError, RuntimeError, NotImplementedError, KeyError) as error:
            raise DetboxError(
                f"tf2onnx does not convert this model: {(str(error).splitlines() or [type(error).__name__])[0]}",
                remedy=f"the other forms take it: {flag('export_forms')}",
            ) from error
