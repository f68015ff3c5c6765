"""Augmentations by name."""

import re
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.pipeline import augmentations
from app.pipeline.augmentations import BY_NAME

PAGE = Path(__file__).parents[3] / "docs" / "pipeline.md"


def steps(pipeline):
    return [step.WhichOneof("preprocessing_step") for step in pipeline.config.train_config.data_augmentation_options]


def test_names_become_upstreams_steps(make):
    """Short names, in the order given, take the place of the model's own; that is said."""
    pipeline = make(augmentations="horizontal_flip, brightness,CROP")
    assert steps(pipeline) == ["random_horizontal_flip", "random_adjust_brightness", "random_crop_image"]
    pipeline = make(model="centernet_resnet50_fpn", augmentations="gray")
    assert steps(pipeline) == ["random_rgb_to_gray"]
    (note,) = [note for note in pipeline.notes if "taken out" in note]
    assert "random_absolute_pad_image" in note and "--augmentations" in note


def test_full_names_are_taken(make):
    """Upstream's name means the same as the short one."""
    assert make(augmentations="random_jpeg_quality").text == make(augmentations="jpeg_quality").text


def test_a_step_of_the_model_keeps_its_parameters(make):
    """What the model had tuned stays so: CenterNet's crop is not the SSD's."""
    assert "random_coef: 0.25" in make(model="centernet_resnet50_fpn", augmentations="crop").text
    assert "min_area: 0.75" in make(augmentations="crop").text


def test_none_and_empty(make):
    """`none` takes all out, nothing given leaves the model's."""
    assert steps(make(augmentations="none")) == []
    assert steps(make()) == ["random_horizontal_flip"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("horizontal_flop", "did you mean horizontal_flip"),
        ("mosaic", "there are horizontal_flip"),
        ("none,crop", "beside other names"),
        ("crop,random_crop_image", "named twice"),
        ("normalize_image", "--config_override"),
    ],
)
def test_names_that_are_refused(make, names, words):
    """One line with the nearest name, or all of them."""
    with pytest.raises(SettingsError, match=re.escape(words)) as caught:
        make(augmentations=names)
    assert "--augmentations / DETBOX_AUGMENTATIONS" in str(caught.value)


def test_the_square_follows_the_size_that_the_model_sees(make):
    """`random_scale_crop_and_pad_to_square` makes what the resizer makes, whoever asked for it."""
    named = make(model="ssd_mobilenet_v2_fpnlite_320", augmentations="scale_crop_pad_square")
    assert "output_size: 320" in named.text
    resized = make(model="efficientdet_d0", image_size="640")
    assert "output_size: 640" in resized.text
    assert any("makes 640 pixels now" in note for note in resized.notes)


@pytest.mark.parametrize(
    ("reader", "names", "strays"),
    [
        ("num_keypoints: 17", "horizontal_flip,crop", ["random_horizontal_flip"]),
        ("num_keypoints: 17", "rotation90,self_concat", ["random_rotation90", "random_self_concat_image"]),
        ("load_instance_masks: true", "horizontal_flip,self_concat", ["random_self_concat_image"]),
        ("", "horizontal_flip,self_concat,vertical_flip", []),
    ],
)
def test_steps_that_part_images_from_masks_and_keypoints(make, reader, names, strays):
    """Named only where the reader loads what would stray."""
    config = make(augmentations=names, config_override=f"train_input_reader {{ {reader} }}").config
    assert [step for step, _, _ in augmentations.stray_groundtruth(config)] == strays


def test_a_permutation_makes_a_flip_safe(make):
    """With the keypoints' new places given, upstream flips them too."""
    override = """train_input_reader { num_keypoints: 2 } train_config { data_augmentation_options {
      random_horizontal_flip { keypoint_flip_permutation: [1, 0] } } }"""
    config = make(augmentations="none", config_override=override).config
    assert not list(augmentations.stray_groundtruth(config))


def test_the_page_has_every_name():
    """docs/pipeline.md lists each with its step and its words, and no other."""
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([^|]*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(name, augmentation.step, augmentation.doc) for name, augmentation in BY_NAME.items()]
