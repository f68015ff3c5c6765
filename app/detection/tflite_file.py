"""What a `.tflite` file says about itself."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow.lite.python import schema_py_generated as schema

from app import text_files
from app.detection.sidecar_files import TFLITE_LABELS

IDENTIFIER = b"TFL3"


NOTE = "detbox"
"""Name of the metadata entry in which an export keeps, as JSON, what runs it: input, outputs."""


POSTPROCESS = b"TFLite_Detection_PostProcess"


OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
"""The order of the outputs of TensorFlow Lite's own operator."""


@dataclass(frozen=True)
class Inside:
    """`note`: what `NOTE` holds, empty in files of others. `outputs`: name to tensor index, empty if unknown."""

    note: dict[str, Any]
    outputs: dict[str, int]


def read(path: Path) -> Inside:
    """What the file says about itself. ValueError if it is no TensorFlow Lite model."""
    data = path.read_bytes()
    if data[4:8] != IDENTIFIER:
        raise ValueError("is no TensorFlow Lite model")
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    note = _note(model)
    outputs = {name: int(index) for name, index in note.get("outputs", {}).items()}
    return Inside(note, outputs or postprocessed(model))


def postprocessed(model: schema.ModelT) -> dict[str, int]:
    """Name to tensor index of what `TFLite_Detection_PostProcess` gives; empty if the model has no such operator."""
    graph = model.subgraphs[0]
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].customCode == POSTPROCESS:
            return dict(zip(OUTPUTS, map(int, operator.outputs), strict=True))
    return {}


def _note(model: schema.ModelT) -> dict[str, Any]:
    for entry in model.metadata or []:
        if entry.name == NOTE.encode():
            return json.loads(bytes(model.buffers[entry.buffer].data))
    return {}


def labels(path: Path) -> list[str]:
    """The names of classes 0 and up that are packed into the file; empty if there are none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            wanted = TFLITE_LABELS if TFLITE_LABELS in names else next(iter(names), None)
            return text_files.split_lines(text_files.decode(archive.read(wanted))) if wanted else []
    except zipfile.BadZipFile:
        return []
