"""Anchors from the pipeline.config, and boxes against them."""

import re

import numpy as np
import pytest

from app.inspection import anchor_fit
from app.pipeline import anchors, origin
from app.protos import pipeline_config


def config(preset: str, override: str = ""):
    made = origin.find_origin(preset, "").config
    pipeline_config.merge_pipeline(override, made, where="test")
    return made


def test_a_pyramid_s_anchors():
    """Anchor scale times stride, scales within the octave, each in every shape of the same area."""
    made = anchors.from_config(config("ssd_mobilenet_v2_fpnlite_320"))
    assert len(made.sizes) == 5 * 2 * 3
    assert made.scales[:3] == pytest.approx([32, 32 * 2**0.5, 64], abs=0.1) and made.scales[-1] > 700
    assert made.aspect_ratios == [0.5, 1.0, 2.0]
    wide = made.sizes[made.sizes[:, 1] > made.sizes[:, 0] * 1.9]
    assert sorted(np.sqrt(wide.prod(1)))[0] == pytest.approx(32)


def test_faster_rcnn_s_anchors_are_of_256_pixels():
    """Scales are factors of the proto's default size."""
    assert anchors.from_config(config("faster_rcnn_resnet50")).scales == [64, 128, 256, 512]


def test_centernet_has_none():
    """It finds centres; no change of anchors is proposed for it."""
    made = config("centernet_resnet50_fpn")
    assert anchors.from_config(made) is None
    assert anchor_fit.remedies(made, np.full((3, 2), 100.0), np.full((3, 2), 0.01)) == []


def test_a_box_of_an_anchor_s_size_matches_it_wholly():
    """IoU 1 for the same size, a quarter for half the sides, and the best of several counts."""
    sizes = np.array([[10.0, 10], [40, 20]])
    boxes = np.array([[10.0, 10], [5, 5], [40, 20], [20, 40]])
    assert anchors.best_iou(boxes, sizes) == pytest.approx([1, 0.25, 1, 400 / 1200])
    many = np.tile(boxes, (3000, 1))
    assert anchors.best_iou(many, sizes) == pytest.approx(np.tile([1, 0.25, 1, 1 / 3], 3000))


@pytest.mark.parametrize(
    ("resizer", "wanted"),
    [
        ("fixed_shape_resizer { height: 300 width: 600 }", (30, 120)),
        ("keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 1024 }", (60, 160)),
        ("keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 640 }", (48, 128)),
        ("identity_resizer { }", (15, 40)),
    ],
)
def test_what_the_model_sees_of_a_box(resizer, wanted):
    """A tenth of the height and a fifth of the width of an image of 150 x 200, after each resizer."""
    made = config("tiny")
    made.model.ssd.image_resizer.Clear()
    pipeline_config.merge_pipeline(f"model {{ ssd {{ image_resizer {{ {resizer} }} }} }}", made, where="test")
    seen = anchors.boxes_after_resize(made, np.array([[150, 200]]), np.array([[0.1, 0.2]]))
    assert seen[0] == pytest.approx(wanted)


SMALL = (np.full((200, 2), (480.0, 640.0)), np.random.default_rng(0).uniform(0.05, 0.1, (200, 2)))
LONG = (np.full((200, 2), (640.0, 640.0)), np.tile([0.1, 0.6], (200, 1)))


@pytest.mark.parametrize(
    ("preset", "data", "words"),
    [
        ("ssd_mobilenet_v2_fpnlite_320", SMALL, "anchor_scale"),
        ("ssd_mobilenet_v2_fpnlite_320", SMALL, "--image_size"),
        ("ssd_mobilenet_v2_fpnlite_640", LONG, "aspect_ratios"),
        ("faster_rcnn_resnet50", SMALL, "scales: 0.125"),
        ("efficientdet_d0", LONG, "aspect_ratios"),
    ],
)
def test_a_remedy_does_what_it_says(preset, data, words):
    """Applied as its flag says, the share of boxes that match is the one promised, and above what it was."""
    before = config(preset)
    share = anchors.matched(anchors.boxes_after_resize(before, *data), anchors.from_config(before)).mean()
    remedy = next(one for one in anchor_fit.remedies(before, *data) if words in one.flag)
    assert remedy.share > share
    override = re.fullmatch(r"--config_override='(.*)'", remedy.flag)
    if override:
        after = config(preset, override[1])
        assert anchors.matched(
            anchors.boxes_after_resize(after, *data), anchors.from_config(after)
        ).mean() == pytest.approx(remedy.share)


def test_nothing_is_proposed_where_the_boxes_match():
    """Boxes of the anchors' own sizes need no change."""
    made = config("ssd_mobilenet_v2_fpnlite_640")
    boxes = np.random.default_rng(0).uniform(0.1, 0.14, (300, 2))
    assert anchor_fit.remedies(made, np.full((300, 2), 640.0), boxes) == []
