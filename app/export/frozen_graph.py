"""A traced function as a frozen graph, with the tensor names of TF1's exporter."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from app.detection.frozen_graph import EXTRAS, INPUT, OUTPUTS


def freeze(concrete: Any) -> tf.compat.v1.GraphDef:
    """The traced function `concrete` as one graph without variables, under the tensor names of TF1's exporter.

    `concrete`: uint8 images [batch, height, width, 3] in, a dictionary of the OD API's detections out.
    """
    frozen = convert_variables_to_constants_v2(concrete)
    # A dictionary's values are flattened in the order of its sorted keys.
    names = dict(zip(sorted(concrete.structured_outputs), (tensor.name for tensor in frozen.outputs), strict=True))
    kept = [name for name in sorted(names) if name in OUTPUTS or name in EXTRAS]
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.uint8, frozen.inputs[0].shape, name=INPUT)
        outputs = tf.compat.v1.import_graph_def(
            frozen.graph.as_graph_def(),
            input_map={frozen.inputs[0].name: images},
            return_elements=[names[name] for name in kept],
            name="detector",
        )
        for name, tensor in zip(kept, outputs, strict=True):
            tf.identity(tensor, name=name)
        # Attributes at their default may be unknown to an older runtime.
        stripped = tf.compat.v1.train.export_meta_graph(graph=graph, strip_default_attrs=True).graph_def
    return tf.compat.v1.graph_util.extract_sub_graph(stripped, [INPUT, *kept])


def write(graph: tf.compat.v1.GraphDef, path: Path) -> None:
    """Writes the graph as text to a `.pbtxt`, else in binary."""
    if path.suffix == ".pbtxt":
        path.write_text(text_format.MessageToString(graph), encoding="utf-8")
    else:
        path.write_bytes(graph.SerializeToString(deterministic=True))
