"""Files that are called a model and are none, or were one."""

from random import Random

import pytest

from app.detection.loader import load
from app.errors import SettingsError

pytestmark = pytest.mark.odapi
NAMES = ("a.pb", "a.pbtxt", "a.onnx", "a.tflite", "saved_model/saved_model.pb", "saved_model/saved_model.pbtxt")
STARTS = (
    b"",
    b"\0\0\0\0TFL3",
    b"\x1c\0\0\0TFL3",
    b"node {",
    b"\x08\x01\x12",
    b"saved_model_schema_version: 1\nmeta_graphs {}",
)


@pytest.mark.parametrize("name", NAMES)
def test_no_content_is_an_internal_error(tmp_path, name):
    """Refused with the file's name, in one line."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    for number in range(60):
        random = Random(number)
        path.write_bytes(random.choice(STARTS) + random.randbytes(random.choice((0, 4, 40, 400))))
        with pytest.raises(SettingsError) as caught:
            load(path)
        assert caught.value.remedy and len(str(caught.value).splitlines()) == 1
