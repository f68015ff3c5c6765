"""Which forms are asked for, and which models some of them are not for."""

import pytest

from app.errors import SettingsError
from app.export import formats
from app.protos import pipeline_config

SSD = """model { ssd { num_classes: 2 box_coder { faster_rcnn_box_coder {} }
  image_resizer { fixed_shape_resizer { height: 64 width: 96 } } %s } }"""


def refused(model: str) -> dict[str, SettingsError]:
    """What is refused of all forms for the model in this proto text."""
    return formats.refusals(formats.FORMS, pipeline_config.parse_pipeline(model, where="text").model)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("onnx", ("onnx",)),
        (" tflite, image_tensor,tflite ", ("image_tensor", "tflite")),
        ("all", formats.FORMS),
        ("onnx,all", formats.FORMS),
    ],
)
def test_forms_are_listed_once_and_in_order(text, expected):
    """However they are written."""
    assert formats.parse(text) == expected


@pytest.mark.parametrize(("text", "words"), [("tflit", "did you mean tflite"), ("", "no form"), ("onnx,zzz", "zzz")])
def test_an_unknown_form_is_named(text, words):
    """With the nearest one that there is."""
    with pytest.raises(SettingsError, match=words):
        formats.parse(text)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("model { faster_rcnn { num_classes: 1 } }", "two-stage"),
        ("model { center_net { num_classes: 1 } }", "CenterNet"),
        (SSD % "post_processing { batch_non_max_suppression { soft_nms_sigma: 0.5 } }", "soft NMS"),
        (SSD.replace("height: 64", "convert_to_grayscale: true height: 64") % "", "grayscale"),
        ("model { ssd { image_resizer { keep_aspect_ratio_resizer { max_dimension: 9 } } } }", "one size"),
        (SSD.replace("faster_rcnn_box_coder", "square_box_coder") % "", "coder"),
    ],
)
def test_tflite_is_refused_with_the_reason(model, words):
    """For what its suppression or its one size of input can't do; every other form is left."""
    found = refused(model)
    assert set(found) == set(formats.TFLITE)
    assert all(words in str(error) and form in str(error) for form, error in found.items())


def test_nothing_is_refused_for_an_ssd():
    """Of fixed size, or padded to a square as EfficientDet is."""
    padded = "keep_aspect_ratio_resizer { max_dimension: 9 pad_to_max_dimension: true }"
    fixed = "fixed_shape_resizer { height: 64 width: 96 }"
    assert refused(SSD % "") == {}
    assert refused((SSD % "").replace(fixed, padded)) == {}


def test_the_size_of_the_network_is_read_from_either_resizer():
    """Height first."""
    assert formats.fixed_size(pipeline_config.parse_pipeline(SSD % "", where="text").model) == (64, 96)
