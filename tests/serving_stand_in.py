"""A server that speaks TensorFlow Serving's REST protocol for one model; what it detects are red rectangles.

It is as strict as Serving is: paths, JSON, dtypes and shapes that Serving refuses are refused here with an error of
its form. Written from https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import contextlib
import io
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from local_server import served
from PIL import Image

OUTPUTS = {"detection_boxes": 2, "detection_scores": 1, "detection_classes": 1, "num_detections": 0}


class StandIn(ThreadingHTTPServer):
    """`dtype`: DT_UINT8, DT_FLOAT or DT_STRING; `batch`: 1 for one image at a time, -1 for any number."""

    def __init__(self, dtype="DT_UINT8", batch=-1, name="shapes"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.dtype, self.batch, self.name = dtype, batch, name
        self.requests: list[int] = []
        """Images of each request that was answered."""
        self.sabotage = None
        """Bytes to answer instead, whatever is asked."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/models/{self.name}"


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def log_message(self, *_):
        """Keeps the tests' output clean."""

    def do_GET(self):
        if self.path not in self._paths("/metadata"):
            return self._answer(404, {"error": f"Malformed request: GET {self.path}"})
        dims = [self.server.batch] if self.server.dtype == "DT_STRING" else [self.server.batch, -1, -1, 3]
        inputs = {"input_tensor": self._tensor(self.server.dtype, dims)}
        outputs = {key: self._tensor("DT_FLOAT", [self.server.batch] + [-1] * rank) for key, rank in OUTPUTS.items()}
        signature = {"inputs": inputs, "outputs": outputs, "method_name": "tensorflow/serving/predict"}
        nothing = {"inputs": {}, "outputs": {"__saved_model_init_op": self._tensor("DT_INVALID", [])}}
        definition = {"signature_def": {"__saved_model_init_op": nothing, "serving_default": signature}}
        spec = {"name": self.server.name, "signature_name": "", "version": "3"}
        self._answer(200, {"model_spec": spec, "metadata": {"signature_def": definition}})

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path not in self._paths(":predict"):
            return self._answer(404, {"error": f"Malformed request: POST {self.path}"})
        try:
            body = json.loads(content)
            assert body.get("signature_name", "serving_default") == "serving_default", "no such signature"
            by_row = "instances" in body
            assert by_row != ("inputs" in body), "one of instances and inputs"
            value = body["instances"] if by_row else body["inputs"]
            if not by_row and isinstance(value, dict):
                assert list(value) == ["input_tensor"], "no such input"
                value = value["input_tensor"]
            images = self._images(value)
        except (AssertionError, ValueError, KeyError, TypeError) as error:
            return self._answer(400, {"error": f"Failed to process element: {error}"})
        self.server.requests.append(len(images))
        found = {key: [one[key] for one in map(red, images)] for key in OUTPUTS}
        if by_row:
            rows = [{key: found[key][n] for key in found} for n in range(len(images))]
            return self._answer(200, {"predictions": rows})
        self._answer(200, {"outputs": found})

    def _paths(self, end):
        base = f"/v1/models/{self.server.name}"
        return {base + end, f"{base}/versions/3{end}"}

    def _tensor(self, dtype, dims):
        shape = {"dim": [{"size": str(dim), "name": ""} for dim in dims], "unknown_rank": False}
        return {"dtype": dtype, "tensor_shape": shape, "name": "StatefulPartitionedCall:0"}

    def _images(self, value):
        if self.server.dtype == "DT_STRING":
            images = [np.asarray(Image.open(io.BytesIO(base64.b64decode(item["b64"])))) for item in value]
        else:
            images = list(np.asarray(value, np.uint8 if self.server.dtype == "DT_UINT8" else np.float32))
        assert self.server.batch in (-1, len(images)), f"batch of {len(images)}"
        assert all(image.ndim == 3 and image.shape[2] == 3 for image in images), "not height x width x 3"
        return images

    def _answer(self, status, value):
        content = self.server.sabotage or json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def red(image):
    """The outputs for an image: the rectangle around its red pixels, padded to two detections as models do."""
    rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 1] < 60))
    if not len(rows):
        return {"detection_boxes": [[0.0] * 4] * 2, "detection_scores": [0.0] * 2, "detection_classes": [1.0] * 2,
                "num_detections": 0.0}  # fmt: skip
    height, width = image.shape[:2]
    box = [rows.min() / height, columns.min() / width, (rows.max() + 1) / height, (columns.max() + 1) / width]
    return {"detection_boxes": [box, [0.0] * 4], "detection_scores": [0.9, 0.0], "detection_classes": [2.0, 1.0],
            "num_detections": 1.0}  # fmt: skip


def serving(**options) -> contextlib.AbstractContextManager[StandIn]:
    """The server, on a free port of this machine, for the length of a block."""
    return served(StandIn(**options))
