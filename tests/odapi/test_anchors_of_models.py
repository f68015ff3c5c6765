"""The anchors that detbox works out are those that the OD API makes."""

import numpy as np
import pytest

from app.pipeline import anchors, origin
from app.protos import architecture, pipeline_config

pytestmark = pytest.mark.odapi

SSD = """model { ssd { anchor_generator { ssd_anchor_generator {
  num_layers: 6 min_scale: 0.2 max_scale: 0.95 aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333] %s
} } } }"""
FLEXIBLE = """model { ssd { anchor_generator { flexible_grid_anchor_generator {
  anchor_grid { base_sizes: [16, 32] aspect_ratios: [1, 2] height_stride: 16 width_stride: 16 }
  anchor_grid { base_sizes: 128 aspect_ratios: 0.5 height_stride: 64 width_stride: 64 }
} } } }"""


@pytest.mark.parametrize(
    ("preset", "override", "grids"),
    [
        ("tiny", "", 4),
        ("efficientdet_d0", "", 5),
        ("ssd_resnet50_fpn_640", "", 5),
        ("faster_rcnn_resnet50", "", 1),
        ("tiny", SSD % "", 6),
        ("tiny", SSD % "reduce_boxes_in_lowest_layer: false scales: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]", 6),
        ("tiny", FLEXIBLE, 2),
    ],
)
def test_anchors_are_upstream_s(preset, override, grids):
    """Heights and widths in pixels of one place of each grid, for every kind of generator."""
    from object_detection.builders import anchor_generator_builder

    config = origin.find_origin(preset, "").config
    pipeline_config.merge_pipeline(override, config, where="test")
    height, width = architecture.image_size(config)
    upstream = anchor_generator_builder.build(anchors.generator(config))
    shapes = [(1, 1)] * grids
    made = upstream.generate(shapes) if grids == 1 else upstream.generate(shapes, im_height=height, im_width=width)
    corners = np.concatenate([boxes.get().numpy() for boxes in made])
    scale = (1, 1) if grids == 1 else (height, width)
    theirs = (corners[:, 2:] - corners[:, :2]) * scale
    ours = anchors.from_config(config).sizes

    def in_order(sizes):
        return np.array(sorted(np.round(sizes, 2).tolist()))

    assert ours.shape == theirs.shape
    assert in_order(ours) == pytest.approx(in_order(theirs), abs=0.05)
