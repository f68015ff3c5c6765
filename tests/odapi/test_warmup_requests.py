"""The request that TensorFlow Serving warms a model up with, read by Serving's own protos."""

import numpy as np
import pytest

from app.export import warmup_requests
from app.tfrecord import FOOTER, HEADER, is_header

pytestmark = pytest.mark.odapi
prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
tensor_util = pytest.importorskip("tensorflow.python.framework.tensor_util")


@pytest.mark.parametrize(
    "value",
    [np.zeros((1, 300, 400, 3), np.uint8), np.ones((1, 8, 8, 3), np.float32), np.array([b"\x89PNG\r\n" * 40])],
    ids=["pixels", "floats", "files"],
)
def test_serving_reads_the_request(tmp_path, value):
    """One Predict request under the signature's name, with the input that was given; no byte is left over."""
    tensor = tensor_util.make_tensor_proto(value).SerializeToString()
    warmup_requests.write(tmp_path, "detect", {"input_tensor": tensor})
    content = (tmp_path / "assets.extra" / "tf_serving_warmup_requests").read_bytes()
    assert is_header(content[: HEADER.size])
    log = prediction_log.PredictionLog.FromString(content[HEADER.size : -FOOTER.size])
    request = log.predict_log.request
    assert (log.WhichOneof("log_type"), request.model_spec.signature_name) == ("predict_log", "detect")
    np.testing.assert_array_equal(tensor_util.MakeNdarray(request.inputs["input_tensor"]), value)
    assert list(request.inputs) == ["input_tensor"]
