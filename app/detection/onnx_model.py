"""Detection by an ONNX file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.detection.batching import by_size
from app.detection.detections import NEEDED, Detections, of_batch
from app.detection.refusal import refusal

DTYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class OnnxModel:
    """The detector in an `.onnx` file with the OD API's names of outputs."""

    form = "onnx"

    def __init__(self, path: Path):
        """Raises SettingsError for a model that is no detector, and anything for what is none; see `loader.load`."""
        # Slow to import, and no other form needs it.
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        inputs, outputs = self._session.get_inputs(), [output.name for output in self._session.get_outputs()]
        if len(inputs) != 1 or inputs[0].type not in DTYPES or not set(NEEDED) <= set(outputs):
            raise refusal(path, f"is no detector: one image in, and out {', '.join(NEEDED)}")
        (self._input,), self._outputs = inputs, outputs

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As `Loaded.detect`."""
        return by_size(images, self._run, whole_batches=self._input.shape[0] != 1)

    def signature(self) -> dict[str, Any]:
        """As `LoadedExport.signature`; a size that varies is None."""
        return {
            side: {
                arg.name: {"shape": [size if isinstance(size, int) else None for size in arg.shape], "dtype": arg.type}
                for arg in args
            }
            for side, args in (("inputs", [self._input]), ("outputs", self._session.get_outputs()))
        }

    def _run(self, stack: np.ndarray) -> list[Detections]:
        found = self._session.run(self._outputs, {self._input.name: stack.astype(DTYPES[self._input.type])})
        return of_batch(dict(zip(self._outputs, found, strict=True)))
