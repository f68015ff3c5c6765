"""The images that an export is compared with."""

import pytest
from refusals import refused

from app.errors import SettingsError
from app.export.probe_images import ProbeImages


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.avif", b"\0\0\0\x1cftypavif" + bytes(40)), ("a.jpg", b"no image"), ("a.qoi", b"qoif" + bytes(9))],
)
def test_a_given_file_that_is_no_image(tmp_path, name, data):
    """Whatever its decoder raises."""
    (tmp_path / name).write_bytes(data)
    with refused(SettingsError, where=name, flag="--input"):
        ProbeImages(None, str(tmp_path / name)).probes()
