"""The size of images that the network sees: its setting, what a network can take, what follows for anchors."""

import re
from typing import Any

from app.errors import SettingsError
from app.pipeline import anchors
from app.protos import architecture
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

SETTING = flag("image_size")
TEXT = re.compile(r"(\d+)(?:\s*[x×]\s*(\d+))?", re.IGNORECASE)

SMALLEST, LARGEST = 33, 8192
"""Upstream's SSDs assert 33 pixels a side (utils/shape_utils.check_min_image_dim); above the other no one trains."""

HALVINGS = 2**5
"""The stride of a backbone's last level, from which pyramids and CenterNet double back."""

HOURGLASS = 2**7
"""Two halvings before the hourglass of 5 more (models/center_net_hourglass_feature_extractor.py)."""


def parse(text: str) -> tuple[int, int] | None:
    """Height and width in pixels of `640` or `480x640`; None for the empty text. Raises SettingsError."""
    if not text.strip():
        return None
    match = TEXT.fullmatch(text.strip())
    if not match:
        raise SettingsError(f"image_size {text!r} is no size", remedy=f"640, or 480x640 (height x width): {SETTING}")
    height, width = int(match[1]), int(match[2] or match[1])
    if not SMALLEST <= min(height, width) <= max(height, width) <= LARGEST:
        raise SettingsError(
            f"image_size {text!r} is not between {SMALLEST} and {LARGEST} pixels a side", remedy=SETTING
        )
    return height, width


def edit(config: PipelineConfig, text: str) -> list[str]:
    """Makes the resizer give images of `text` (see `parse`; empty: leaves it). Returns notes.

    Raises SettingsError for a size that the model can't take.
    """
    size = parse(text)
    if size is None:
        return []
    resizer = architecture.body(config).image_resizer
    before = architecture.image_size(config)
    notes = []
    if resizer.HasField("keep_aspect_ratio_resizer"):
        notes += _edit_keep_aspect(resizer.keep_aspect_ratio_resizer, size)
    else:
        if not resizer.HasField("fixed_shape_resizer"):
            notes.append(f"{resizer.WhichOneof('image_resizer_oneof') or 'no resizer'} became a fixed_shape_resizer")
        resizer.fixed_shape_resizer.height, resizer.fixed_shape_resizer.width = size
    if fault := misfit(config):
        raise SettingsError(f"image_size {text.strip()} does not suit this model: {fault}", remedy=remedy(config))
    return notes + _anchor_note(config, before)


def _anchor_note(config: PipelineConfig, before: tuple[int, int] | None) -> list[str]:
    """Says that anchors which are set in pixels stay while the images around them change."""
    after = architecture.image_size(config)
    try:
        found = anchors.from_config(config)
    except (ArithmeticError, ValueError):  # No anchors come of these numbers.
        return []
    if not before or before == after or found is None or found.kind == "ssd_anchor_generator":
        return []
    return [
        f"anchors stay at {found.scales[0]:g} to {found.scales[-1]:g} pixels while images go from {_words(before)} "
        f"to {_words(after)}: detbox inspect compares them with your boxes"
    ]


def _edit_keep_aspect(resizer: Any, size: tuple[int, int]) -> list[str]:
    resizer.min_dimension, resizer.max_dimension = min(size), max(size)
    if min(size) == max(size):
        return []
    return [
        f"keep_aspect_ratio_resizer: the shorter side becomes {min(size)} pixels, the longer {max(size)} at most, "
        "upright or lying"
    ]


def multiple(config: PipelineConfig) -> int:
    """What both sides have to be multiples of.

    A pyramid doubles its coarse levels back onto the finer ones, CenterNet onto a quarter of the image. Tried on
    each of upstream's families: one step off does not build.
    """
    kind, name = config.model.WhichOneof("model"), architecture.extractor_type(config)
    if kind == "ssd" and "bifpn" in name:
        return 2 ** min(max(architecture.body(config).feature_extractor.bifpn.max_level, 1), 12)
    if "hourglass" in name:
        return HOURGLASS
    if kind == "center_net":
        return HALVINGS
    if "fpn" in name:
        padded = architecture.body(config).feature_extractor.pad_to_multiple if kind == "ssd" else 1
        return 1 if padded > 1 and padded % HALVINGS == 0 else HALVINGS
    return 1


def misfit(config: PipelineConfig) -> str | None:
    """What is wrong with the size of images for this network, or None. Sizes that vary are not judged."""
    size = architecture.image_size(config)
    if size is None or not architecture.has_fixed_shape(config):
        return None
    if config.model.WhichOneof("model") == "ssd" and min(size) < SMALLEST:
        return f"images of {_words(size)} are below {SMALLEST} pixels"
    unit = multiple(config)
    if size[0] % unit or size[1] % unit:
        name = architecture.extractor_type(config)
        return f"images of {_words(size)} do not fit {name}: both sides must be multiples of {unit}"
    return None


def remedy(config: PipelineConfig) -> str:
    """The setting with the nearest size that fits."""
    unit, size = multiple(config), architecture.image_size(config) or (SMALLEST, SMALLEST)
    near = [max(unit, -(-SMALLEST // unit) * unit, round(side / unit) * unit) for side in size]
    text = str(near[0]) if near[0] == near[1] else _words(near)
    return flag("image_size", text)


def _words(size: Any) -> str:
    return f"{size[0]}x{size[1]}"
