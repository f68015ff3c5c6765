"""What to change in a model when many boxes of a data set have no anchor of their size or shape."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.pipeline import anchors
from app.protos import architecture, pipeline_config
from app.protos.pipeline_config import PipelineConfig

WORTH = 0.01
"""Share of the boxes that must match in addition before a change is worth a word."""
ENOUGH = 0.95
"""Share of boxes that match with which a cheap change is as good as any."""
SAMPLE = 20_000
"""Boxes that changes are tried on at most, taken evenly."""
_SCALES = (8.0, 6.0, 5.0, 4.0, 3.0, 2.5, 2.0)
"""In strides. Below 2 the anchors of neighbouring places hardly overlap, and a box between them has none."""
_STEP = 128
"""Sides of images are multiples of it: EfficientDet needs that, and it does no other model harm."""


@dataclass(frozen=True)
class Remedy:
    """A change: the flag with its value, what it does, and the share of boxes (0 to 1) that match with it."""

    flag: str
    what: str
    share: float


@dataclass(frozen=True)
class _Change:
    """A changed config; `inner` is proto text for the anchor generator, `size` an image size, or neither."""

    config: PipelineConfig
    what: str
    inner: str = ""
    size: str = ""


def remedies(config: PipelineConfig, images: np.ndarray, boxes: np.ndarray) -> list[Remedy]:
    """Changes that let more boxes match, the best first; each was tried on the boxes. Arguments as of `anchors.seen`.

    Empty where nothing tried is worth it, or the model has no anchors.
    """
    every = math.ceil(len(boxes) / SAMPLE) or 1
    images, boxes = images[::every], boxes[::every]
    if anchors.from_config(config) is None or not len(boxes):
        return []

    def share(changed: Any) -> float:
        made = anchors.from_config(changed)
        return float(anchors.matched(anchors.boxes_after_resize(changed, images, boxes), made).mean()) if made else 0.0

    now, found = share(config), []
    single = []
    for changes in (
        _scales(config),
        _ratios(config, anchors.boxes_after_resize(config, images, boxes)),
        _sizes(config),
    ):
        tried = [(share(change.config), change) for change in changes]
        # The first that is enough: they come in order of what they cost.
        enough = (one for one in tried if one[0] >= ENOUGH)
        best = next(enough, max(tried, key=lambda one: one[0], default=(0.0, None)))
        if best[1] is not None and best[0] >= now + WORTH:
            found.append(best)
            single += [best[1]] if best[1].inner else []
    if len(single) == 2:
        joined = _overridden(config, " ".join(change.inner for change in single), " and ".join(c.what for c in single))
        found.append((share(joined.config), joined))
    found.sort(key=lambda one: -one[0])
    return [Remedy(_flag(config, change), change.what, round(value, 4)) for value, change in found]


def _flag(config: PipelineConfig, change: _Change) -> str:
    return f"--image_size={change.size}" if change.size else f"--config_override='{_text(config, change.inner)}'"


def _text(config: PipelineConfig, inner: str) -> str:
    kind = config.model.WhichOneof("model")
    message = anchors.generator(config).WhichOneof("anchor_generator_oneof")
    return f"model {{ {kind} {{ {anchors.FIELDS[kind]} {{ {message} {{ {inner} }} }} }} }}"


def _overridden(config: PipelineConfig, inner: str, what: str) -> _Change:
    changed = _copy(config)
    pipeline_config.merge_pipeline(_text(config, inner), changed, where="config_override")
    return _Change(changed, what, inner=inner)


def _copy(config: PipelineConfig) -> Any:
    changed = type(config)()
    changed.CopyFrom(config)
    return changed


def _scales(config: PipelineConfig) -> Iterator[_Change]:
    """Smaller and larger anchors."""
    kind = anchors.generator(config).WhichOneof("anchor_generator_oneof")
    message = getattr(anchors.generator(config), kind)
    if kind == "multiscale_anchor_generator":
        for scale in _SCALES:
            if scale != message.anchor_scale:
                what = f"anchors from {scale * 2**message.min_level:g} pixels on"
                yield _overridden(config, f"anchor_scale: {scale:g}", what)
    elif kind == "grid_anchor_generator":
        for scale in (1 / 16, 1 / 8, 1 / 4, 2.0, 4.0):
            if all(not math.isclose(scale, known) for known in message.scales):
                what = f"anchors of {scale * message.height:g} pixels too"
                yield _overridden(config, f"scales: {scale:g}", what)
    elif kind == "ssd_anchor_generator" and not message.scales:
        for scale in (0.05, 0.1, 0.15, 0.3):
            if not math.isclose(scale, message.min_scale, rel_tol=0.01):
                yield _overridden(config, f"min_scale: {scale:g}", f"anchors from {scale:.0%} of the image on")


def _ratios(config: PipelineConfig, boxes: np.ndarray) -> Iterator[_Change]:
    """Anchors flatter or narrower than there are, as the outermost boxes are."""
    if anchors.generator(config).WhichOneof("anchor_generator_oneof") == "flexible_grid_anchor_generator":
        return
    made = anchors.from_config(config)
    if made is None:
        return
    known = made.aspect_ratios
    logs = np.log2(boxes[:, 1] / boxes[:, 0])
    for share in (0.1, 0.02):
        edges = (2.0 ** (round(float(np.quantile(logs, edge)) * 2) / 2) for edge in (share, 1 - share))
        more = [ratio for ratio in edges if ratio < known[0] * 0.8 or ratio > known[-1] * 1.25]
        if more:
            values = ", ".join(f"{ratio:.2g}" for ratio in more)
            yield _overridden(config, f"aspect_ratios: [{values}]", f"anchors of width:height {_joined(more)} too")


def _joined(ratios: Iterable[float]) -> str:
    return " and ".join(f"{ratio:.2g}" for ratio in ratios)


def _sizes(config: PipelineConfig) -> Iterator[_Change]:
    """Larger images, where the resizer has one size for all."""
    sides = architecture.body(config).image_resizer.fixed_shape_resizer
    if not architecture.body(config).image_resizer.HasField("fixed_shape_resizer"):
        return
    for factor in (1.5, 2, 3, 4):
        changed = _copy(config)
        larger = architecture.body(changed).image_resizer.fixed_shape_resizer
        larger.height, larger.width = (round(side * factor / _STEP) * _STEP for side in (sides.height, sides.width))
        if larger.height > sides.height:
            size = f"{larger.height}" if larger.height == larger.width else f"{larger.height}x{larger.width}"
            yield _Change(changed, f"images of {larger.height}x{larger.width} pixels for the model", size=size)
