"""Training images in TensorBoard: what the model saw, with its groundtruth."""

import io

import numpy as np
import pytest
from command import detbox, place
from events import _values
from PIL import Image

pytestmark = pytest.mark.odapi


def test_images_are_jpeg_in_their_colours_with_boxes(fresh):
    """At the size that the model sees, not as it normalizes them; nothing but the steps asked for."""
    result = detbox("train", *place(fresh), "--num_train_steps=4", "--image_summary_every_n=2", "--trial_secs=0")
    assert result.returncode == 0, result.stderr
    found = [(event.step, value.tensor.string_val) for event, value in _values(fresh.train_events)
             if value.tag == "train_input_images"]  # fmt: skip
    assert [step for step, _ in found] == [2, 4]
    for _, strings in found:
        images = [Image.open(io.BytesIO(encoded)) for encoded in strings[2:]]
        assert len(images) == 2 and {image.format for image in images} <= {"JPEG", "PNG"}
        assert {image.size for image in images} == {(int(strings[0]), int(strings[1]))}
        for image in images:
            pixels = np.asarray(image.convert("RGB")).astype(float)
            assert pixels.mean() > 30 and pixels.std() > 5  # Negative values would be black.
            assert max(map(len, strings[2:])) < 40_000
