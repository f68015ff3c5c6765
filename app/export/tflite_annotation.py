"""Names, metadata and labels written into a `.tflite` file."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

from app.detection.sidecar_files import TFLITE_LABELS
from app.detection.tflite_file import IDENTIFIER, NOTE, postprocessed
from app.export import tflite_metadata


def annotate(data: bytes, note: Mapping[str, Any], description: bytes, labels: Sequence[str]) -> bytes:
    """The model `data` with its outputs in the order and under the names of `OUTPUTS`, and what it is written inside.

    `note`: how it is run, for `read`. `description`: as `tflite_metadata.describe` gives it. `labels`: the names of
    classes 0 and up, packed behind the model as a zip archive's only file, where TensorFlow Lite's tools look.
    ValueError if the model does not end in TFLite_Detection_PostProcess.
    """
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph, outputs = model.subgraphs[0], postprocessed(model)
    if set(outputs.values()) != set(map(int, graph.outputs)):
        raise ValueError("does not end in TFLite_Detection_PostProcess")
    # The converter orders them as it likes, and did so differently from one TensorFlow to the next.
    graph.outputs = list(outputs.values())
    for name, index in outputs.items():
        graph.tensors[index].name = name.encode()
    for signature in model.signatureDefs or []:
        for output in signature.outputs:
            output.name = next(name for name, index in outputs.items() if index == output.tensorIndex).encode()
    # The converter's note that the buffer holds its minimum runtime version and the like stays.
    model.metadata = list(model.metadata or [])
    for name, content in ((NOTE, json.dumps(dict(note)).encode()), (tflite_metadata.NAME, description)):
        model.metadata.append(_entry(model, name, content))
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    file = io.BytesIO()
    file.write(builder.Output())
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        # A fixed time: the same checkpoint gives the same bytes.
        info = zipfile.ZipInfo(TFLITE_LABELS, (1980, 1, 1, 0, 0, 0))
        archive.writestr(info, "".join(f"{label}\n" for label in labels))
    return file.getvalue()


def _entry(model: schema.ModelT, name: str, content: bytes) -> schema.MetadataT:
    buffer = schema.BufferT()
    buffer.data = list(content)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = name, len(model.buffers) - 1
    return entry
