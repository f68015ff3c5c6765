"""The table of the zoo's models."""

import re

import pytest

from app.errors import SettingsError
from app.pipeline.zoo import catalogue


def test_table_is_sound():
    """Names and titles are unique, and what a name says agrees with the columns beside it."""
    models = catalogue.models()
    assert len({model.name for model in models}) == len({model.title for model in models}) == len(models)
    for model in models:
        assert re.fullmatch(r"20\d{6}", model.date) and re.fullmatch(r"\d+x\d+", model.input)
        assert model.input in model.name or (model.kind == "ssd" and model.name.startswith("efficientdet"))
        assert model.input in model.title and model.speed_ms > 0
        assert model.name.startswith(("center", "mask")) == (model.kind == "center_net") or "mask" in model.name
        assert (model.other_map is not None) == (model.outputs != "boxes")


def test_forty_models_of_boxes_and_one_of_masks():
    """Issue 4's forty detection models, and Mask R-CNN."""
    outputs = [model.outputs for model in catalogue.models()]
    assert (len(outputs) - outputs.count("boxes masks"), outputs.count("boxes masks")) == (40, 1)


@pytest.mark.parametrize(
    "name",
    [
        "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8",
        "SSD ResNet50 V1 FPN 640x640 (RetinaNet50)",
        "ssd resnet50 v1 fpn 640x640 (retinanet50)",
        "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8.tar.gz",
    ],
)
def test_names(name):
    """A model is found by its archive's name or by the one that upstream's page shows."""
    assert catalogue.get(name).name == "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ssd_resnet50_v1_fpn_640x640_coco17_tpu8", "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8"),
        ("efficientdet_d3", "efficientdet_d3_coco17_tpu-32"),
        ("EfficentDet D4 1024x1024", "efficientdet_d4_coco17_tpu-32"),
    ],
)
def test_unknown_name(name, meant):
    """The error has the nearest name that there is."""
    with pytest.raises(SettingsError, match=f"did you mean {meant}"):
        catalogue.get(name)


@pytest.mark.parametrize("name", ["", "yolo", "?"])
def test_name_like_no_other(name):
    """What is near to none gets no guess."""
    with pytest.raises(SettingsError, match="detbox zoo list"):
        catalogue.get(name)
