"""A model's anchors and what it sees of a box, in pixels, worked out from the pipeline.config without TensorFlow.

The formulas are those of upstream's anchor_generators/*.py and of resize_to_range in core/preprocessor.py. Where
anchors lie does not matter here, only their heights and widths.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig

MATCHED = 0.5
"""IoU from which every anchor that overlaps a box learns it: `matched_threshold` of the presets."""
FIELDS = {"ssd": "anchor_generator", "faster_rcnn": "first_stage_anchor_generator"}
"""Where each meta-architecture's message holds them."""
_ROWS = 4096
"""Boxes compared with all anchors at a time, for bounded memory."""


@dataclass(frozen=True)
class Anchors:
    """Anchors of one place of the grid: `sizes` is float64 [n, 2] of (height, width) in pixels that the model sees."""

    sizes: np.ndarray
    kind: str

    @property
    def aspect_ratios(self) -> list[float]:
        """Width over height, each once, ascending."""
        return sorted({round(float(width / height), 3) for height, width in self.sizes})

    @property
    def scales(self) -> list[float]:
        """Square roots of the areas in pixels, each once, ascending."""
        return sorted({round(float(side), 1) for side in np.sqrt(self.sizes.prod(1))})


def from_config(config: PipelineConfig) -> Anchors | None:
    """The anchors of a pipeline; None for a model without any (CenterNet), or whose anchors depend on the image."""
    chosen = generator(config)
    kind = chosen.WhichOneof("anchor_generator_oneof") if chosen is not None else None
    if kind is None:
        return None
    message = getattr(chosen, kind)
    if kind == "ssd_anchor_generator":
        seen = architecture.image_size(config)
        sizes = _ssd(message, seen) if seen else []
    else:
        sizes = {"multiscale_anchor_generator": _multiscale, "grid_anchor_generator": _grid}.get(kind, _flexible)(
            message
        )
    return Anchors(np.array(sizes, float).reshape(-1, 2), kind) if len(sizes) else None


def boxes_after_resize(config: PipelineConfig, images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes as the model sees them: [n, 2] of (height, width) in pixels after the model's resizer.

    `images` [n, 2] holds (height, width) of each box's image in pixels, `boxes` [n, 2] (height, width) as
    fractions of it.
    """
    resizer = architecture.body(config).image_resizer
    images = np.asarray(images, float)
    if resizer.HasField("fixed_shape_resizer"):
        fixed = resizer.fixed_shape_resizer
        return np.asarray(boxes, float) * (fixed.height, fixed.width)
    if resizer.HasField("keep_aspect_ratio_resizer"):
        sides = resizer.keep_aspect_ratio_resizer
        scale = np.minimum(sides.min_dimension / images.min(1), sides.max_dimension / images.max(1))
        return boxes * images * scale[:, None]
    return boxes * images


def best_iou(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """For each box [n, 2] of (height, width) the IoU of the best of the anchors [m, 2], centred on it: [n]."""
    best = np.zeros(len(boxes))
    areas = anchors.prod(1)
    for start in range(0, len(boxes), _ROWS):
        some = boxes[start : start + _ROWS, None]
        common = np.minimum(some, anchors).prod(2)
        best[start : start + _ROWS] = (common / (some.prod(2) + areas - common)).max(1, initial=0.0)
    return best


def matched(boxes: np.ndarray, anchors: Anchors) -> np.ndarray:
    """Which boxes [n, 2] have an anchor of IoU `MATCHED` or more: bool [n]."""
    return best_iou(boxes, anchors.sizes) >= MATCHED


def generator(config: PipelineConfig) -> Any:
    """The AnchorGenerator message of a pipeline, or None."""
    field = FIELDS.get(config.model.WhichOneof("model"))
    return getattr(architecture.body(config), field) if field else None


def _pair(scale: float, ratio: float, base: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float]:
    """Upstream's `tile_anchors`: (height, width); the aspect ratio is width over height."""
    return scale / math.sqrt(ratio) * base[0], scale * math.sqrt(ratio) * base[1]


def _multiscale(message: Any) -> list[tuple[float, float]]:
    octave = [2 ** (index / message.scales_per_octave) for index in range(message.scales_per_octave)]
    return [
        _pair(2**level * message.anchor_scale * scale, ratio)
        for level in range(message.min_level, message.max_level + 1)
        for scale in octave
        for ratio in message.aspect_ratios
    ]


def _grid(message: Any) -> list[tuple[float, float]]:
    base = (message.height, message.width)
    return [_pair(scale, ratio, base) for scale in message.scales for ratio in message.aspect_ratios]


def _flexible(message: Any) -> list[tuple[float, float]]:
    return [
        _pair(scale, ratio)
        for grid in message.anchor_grid
        for scale, ratio in zip(grid.base_sizes, grid.aspect_ratios, strict=True)
    ]


def _ssd(message: Any, size: tuple[int, int]) -> list[tuple[float, float]]:
    """Upstream's `create_ssd_anchors`; scales are of the image's shorter side."""
    count = message.num_layers
    scales = list(message.scales) or [
        message.min_scale + (message.max_scale - message.min_scale) * layer / max(count - 1, 1)
        for layer in range(count)
    ]
    base = (min(size) * message.base_anchor_height, min(size) * message.base_anchor_width)
    specs: list[tuple[float, float]] = []
    for layer, (scale, following) in enumerate(zip(scales[:count], [*scales[1:], 1.0], strict=False)):
        if layer == 0 and message.reduce_boxes_in_lowest_layer:
            specs += [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
            continue
        specs += [(scale, ratio) for ratio in message.aspect_ratios]
        if message.interpolated_scale_aspect_ratio > 0:
            specs.append((math.sqrt(scale * following), message.interpolated_scale_aspect_ratio))
    return [_pair(scale, ratio, base) for scale, ratio in specs]
