"""The stand-in for TensorFlow Serving against Serving's own messages."""

import pytest
import requests
from google.protobuf import json_format
from serving_stand_in import OUTPUTS, serving

pytestmark = pytest.mark.odapi
get_model_metadata = pytest.importorskip("tensorflow_serving.apis.get_model_metadata_pb2")
model = pytest.importorskip("tensorflow_serving.apis.model_pb2")


@pytest.mark.parametrize("dtype", ["DT_UINT8", "DT_STRING"])
def test_the_stand_ins_metadata_is_servings(dtype):
    """Model and signatures parse as the messages that Serving writes them from, without an unknown field."""
    with serving(dtype=dtype) as server:
        told = requests.get(f"{server.url}/metadata", timeout=10).json()
    spec = json_format.ParseDict(told["model_spec"], model.ModelSpec())
    assert (spec.name, spec.version.value) == ("shapes", 3)
    signatures = json_format.ParseDict(told["metadata"]["signature_def"], get_model_metadata.SignatureDefMap())
    detects = signatures.signature_def["serving_default"]
    assert set(detects.outputs) == set(OUTPUTS)
    assert [one.tensor_shape.dim[0].size for one in detects.inputs.values()] == [-1]
