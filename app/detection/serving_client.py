"""Detection by a model that TensorFlow Serving has, over its REST API.

The protocol: https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import io
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import requests
from PIL import Image

from app.detection.batching import by_size
from app.detection.detections import NEEDED, Detections, of_batch
from app.errors import SettingsError
from app.settings import flag

CONNECT_SECONDS, ANSWER_SECONDS = 10, 120
"""The first image of a model that was just loaded takes the server seconds."""
ANSWER_BYTES_MAX = 256 << 20
WIDEST_AS_NUMBERS = 1600
"""A larger image that goes as numbers is shrunk before: 4000x3000 would be 130 MB of JSON, and the model shrinks it
anyway (the largest input of the TF2 zoo is 1536)."""
SIGNATURE = "serving_default"
MODEL_PATH = re.compile(r"(?P<model>.*/v1/models/[^/:]+(?:/(?:versions|labels)/[^/:]+)?)(?:/metadata|:predict)?/*")


class ServedModel:
    """The detector at a URL such as `http://HOST:8501/v1/models/NAME`; also one version, `.../versions/3`."""

    form = "server"

    def __init__(self, url: str, name: str = ""):
        """`name`: the model's, for a URL that has none. Asks for the signature; raises SettingsError."""
        self.url = model_url(url, name)
        self._session = requests.Session()
        self._signature, spec = _detecting(self._ask("GET", "/metadata"), self.url)
        (self._input,) = spec["inputs"]
        described = spec["inputs"][self._input]
        self._type = described.get("dtype", "")
        if self._type not in ("DT_STRING", "DT_UINT8", "DT_FLOAT"):
            raise refusal(self.url, f"the model takes {self._type}, not images")
        dims = [int(dim.get("size", -1)) for dim in described.get("tensor_shape", {}).get("dim", [])]
        self._takes_batches = dims[:1] != [1]

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """As `Loaded.detect`; images of one size go in one request, unless the model takes one at a time."""
        if self._type != "DT_STRING":
            images = [_shrunk(image) for image in images]
        return by_size(images, self._run, whole_batches=self._takes_batches)

    def _run(self, stack: np.ndarray) -> list[Detections]:
        value = [_encoded(image) for image in stack] if self._type == "DT_STRING" else stack.tolist()
        # By column, "inputs", and not by row, "instances": rows want a batch dimension in every output, which the
        # anchors that Faster R-CNN gives out have not.
        body = {"signature_name": self._signature, "inputs": {self._input: value}}
        found: Any = self._ask("POST", ":predict", body).get("outputs")
        try:
            answer = of_batch({key: np.asarray(part, np.float32) for key, part in found.items() if key in _WANTED})
        except (KeyError, ValueError, AttributeError, IndexError, TypeError):
            raise refusal(self.url, "the answer has no detections in it") from None
        if len(answer) != len(stack):
            raise refusal(self.url, f"{len(answer)} answers to {len(stack)} images")
        return answer

    def _ask(self, method: str, end: str, body: Any = None) -> dict[str, Any]:
        """What the server answers, as JSON. Raises SettingsError with the server's own words."""
        data = None if body is None else json.dumps(body, separators=(",", ":"))
        headers = {"Content-Type": "application/json"}
        seconds = (CONNECT_SECONDS, ANSWER_SECONDS)
        try:
            with self._session.request(
                method, self.url + end, data=data, headers=headers, timeout=seconds, stream=True, allow_redirects=False
            ) as answer:
                content = answer.raw.read(ANSWER_BYTES_MAX, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise refusal(self.url, _reason(error)) from None
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        said = value.get("error") if isinstance(value, dict) else None
        if answer.status_code != 200:
            raise refusal(self.url, f"HTTP {answer.status_code} {said or answer.reason}"[:300])
        if not isinstance(value, dict):
            raise refusal(self.url, "the answer is not TensorFlow Serving's: no JSON object")
        return value


_WANTED = {*NEEDED, "num_detections"}


def model_url(url: str, name: str = "") -> str:
    """The URL of the model: `url` without its end, or the model `name` of the server. Raises SettingsError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refusal(url, "is no http:// or https:// URL")
    if parts.username or parts.query or parts.fragment:
        raise refusal(f"{parts.scheme}://{parts.hostname}", "has more in it than a server's model")
    path = parts.path.rstrip("/")
    if not path and name:
        path = f"/v1/models/{quote(name, safe='')}"
    match = MODEL_PATH.fullmatch(path)
    if not match:
        raise refusal(url, "names no model")
    return f"{parts.scheme}://{parts.netloc}{match['model']}"


def refusal(url: str, what: str) -> SettingsError:
    """The error for a server that can't be used."""
    return SettingsError(what, where=url, remedy=flag("server", "http://HOST:8501/v1/models/NAME"))


def _detecting(metadata: dict[str, Any], url: str) -> tuple[str, dict[str, Any]]:
    """The signature that detects and its description: `serving_default` if it does, else the first."""
    try:
        signatures = metadata["metadata"]["signature_def"]["signature_def"]
        usable = {
            key: spec
            for key, spec in signatures.items()
            if set(NEEDED) <= set(spec.get("outputs", {})) and len(spec.get("inputs", {})) == 1
        }
    except (KeyError, TypeError, AttributeError):
        raise refusal(url, "the metadata describe no signature") from None
    if not usable:
        raise refusal(url, f"no signature has one input and the outputs {', '.join(NEEDED)}")
    key = SIGNATURE if SIGNATURE in usable else next(iter(usable))
    return key, usable[key]


def _encoded(image: np.ndarray) -> dict[str, str]:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    return {"b64": base64.b64encode(file.getvalue()).decode("ascii")}


def _shrunk(image: np.ndarray) -> np.ndarray:
    longer = max(image.shape[:2])
    if longer <= WIDEST_AS_NUMBERS:
        return image
    height, width = (max(1, round(side * WIDEST_AS_NUMBERS / longer)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _reason(error: BaseException) -> str:
    """What went wrong, without the layers of objects that requests' words have around it."""
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    cause: BaseException | None = error
    for _ in range(8):
        if isinstance(cause, OSError) and cause.strerror:
            return f"can't be reached: {cause.strerror}"
        inner = [getattr(cause, "reason", None), *getattr(cause, "args", ()), cause and cause.__context__]
        cause = next((candidate for candidate in inner if isinstance(candidate, BaseException)), None)
    return f"can't be reached: {type(error).__name__}"
