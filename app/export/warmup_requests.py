"""What TensorFlow Serving asks a model that it has loaded, before anyone else does: the first answer takes seconds.

The file: https://www.tensorflow.org/tfx/serving/saved_model_warmup. Its messages by their field numbers in
tensorflow_serving/apis: prediction_log.proto, predict.proto, model.proto.
"""

from collections.abc import Mapping
from pathlib import Path

from app.tfrecord import frame

PLACE = Path("assets.extra") / "tf_serving_warmup_requests"


def write(version: Path, signature_key: str, inputs: Mapping[str, bytes]) -> None:
    """Writes one request into the folder of a version; `inputs`: each input's serialized TensorProto by its name."""
    model = _field(3, signature_key.encode())
    entries = (_field(2, _field(1, name.encode()) + _field(2, tensor)) for name, tensor in inputs.items())
    request = _field(1, model) + b"".join(entries)
    log = _field(6, _field(1, request))
    (version / PLACE).parent.mkdir(exist_ok=True)
    (version / PLACE).write_bytes(frame(log))


def _field(number: int, content: bytes) -> bytes:
    """A field of text, bytes or a message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
