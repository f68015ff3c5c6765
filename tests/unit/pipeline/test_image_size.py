"""The size of images that the model sees."""

import re

import pytest

from app.errors import SettingsError
from app.protos import architecture


def size(pipeline):
    return architecture.image_size(pipeline.config)


@pytest.mark.parametrize(("text", "expected"), [("640", (640, 640)), ("480x640", (480, 640)), ("", (160, 160))])
def test_fixed_shape(make, text, expected):
    """One number is both sides; two are height and width; nothing leaves the model's."""
    assert size(make(image_size=text)) == expected


def test_keep_aspect_ratio(make):
    """The resizer stays, its bounds change; two numbers are the shorter side and the most of the longer."""
    resizer = make(model="efficientdet_d0", image_size="640").config.model.ssd.image_resizer.keep_aspect_ratio_resizer
    assert (resizer.min_dimension, resizer.max_dimension, resizer.pad_to_max_dimension) == (640, 640, True)
    pipeline = make(model="faster_rcnn_resnet50", image_size="1024x600", batch_size=1)
    resizer = pipeline.config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer
    assert (resizer.min_dimension, resizer.max_dimension) == (600, 1024)
    assert any("the shorter side becomes 600 pixels, the longer 1024 at most" in note for note in pipeline.notes)


def test_another_resizer_becomes_a_fixed_one(make, write_model):
    """A size needs a resizer that makes one."""
    pipeline = make(
        model=write_model("tiny", "model { ssd { image_resizer { identity_resizer { } } } }"), image_size="192"
    )
    assert size(pipeline) == (192, 192)
    assert any("identity_resizer became a fixed_shape_resizer" in note for note in pipeline.notes)


@pytest.mark.parametrize(
    ("model", "text", "words"),
    [
        ("tiny", "big", "'big' is no size"),
        ("tiny", "640x", "is no size"),
        ("tiny", "-5", "is no size"),
        ("tiny", "16", "not between 33 and 8192"),
        ("tiny", "640x9000", "not between"),
        ("tiny", "150", "multiples of 32 -> --image_size=160"),
        ("efficientdet_d0", "600", "multiples of 128 -> --image_size=640 "),
        ("centernet_resnet50_fpn", "500", "multiples of 32 -> --image_size=512"),
        ("faster_rcnn_resnet50", "32", "not between"),
    ],
)
def test_sizes_that_are_refused(make, model, text, words):
    """Not a size, out of bounds, or none that the network takes; the nearest that it does take is named."""
    with pytest.raises(SettingsError, match=re.escape(words)):
        make(model=model, image_size=text)


def test_anchors_that_stay_are_said(make):
    """Anchors in pixels do not grow with the images; CenterNet has none."""
    (note,) = [note for note in make(image_size="320").notes if "anchors" in note]
    assert "24 to" in note and "from 160x160 to 320x320" in note
    assert not any("anchors" in note for note in make(model="centernet_resnet50_fpn", image_size="640").notes)
    assert not any("anchors" in note for note in make(image_size="160").notes)
