"""A checkpoint's index read without TensorFlow."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.pipeline import checkpoint_index


def test_real_index(hands):
    """Every tensor is found, and together they fill the data file but for the object graph's checksum."""
    tensors = checkpoint_index.read(f"{hands}/checkpoint/ckpt-0")
    data = hands / "checkpoint" / "ckpt-0.data-00000-of-00001"
    assert len(tensors) == 386
    assert 0 <= data.stat().st_size - sum(tensor.size for tensor in tensors.values()) < 1000
    for key, tensor in tensors.items():
        if key.startswith("model/"):
            values = 1
            for side in tensor.shape:
                values *= side
            assert tensor.size == 4 * values, key


def test_nothing_there(tmp_path):
    """No file is no index."""
    assert checkpoint_index.read(str(tmp_path / "ckpt-0")) is None


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 0.999), value=st.integers(0, 255), part=st.floats(0, 1) | st.just(1.0))
def test_damage_is_no_exception(hands, tmp_path, place, value, part):
    """Whatever byte is changed, wherever the file is cut: tensors, or None."""
    data = bytearray((hands / "checkpoint" / "ckpt-0.index").read_bytes())
    data[int(place * len(data))] = value
    (tmp_path / "ckpt-0.index").write_bytes(data[: int(part * (len(data) - 8))] + data[-8:])
    found = checkpoint_index.read(str(tmp_path / "ckpt-0"))
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize("text", [b"", b"text", checkpoint_index.MAGIC, bytes(40) + checkpoint_index.MAGIC])
def test_files_that_are_no_index(tmp_path, text):
    """Text, nothing, or the magic number alone."""
    (tmp_path / "ckpt-0.index").write_bytes(text)
    assert not checkpoint_index.read(str(tmp_path / "ckpt-0"))
