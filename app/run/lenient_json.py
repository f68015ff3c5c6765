"""Values of files that another version of detbox, or a hand, may have written: of the type asked for, or nothing."""

import math
from collections.abc import Mapping
from typing import Any

CURRENT_KEYS = {
    "picture": "image",
    "pictures": "images",
    "pictures_without_boxes": "images_without_boxes",
    "sample_pictures": "sample_images",
    "missed": "false_negatives",
    "invented": "false_positives",
    "confused": "misclassified",
    "right": "true_positives",
}
"""Keys of files that older versions wrote, and what they are called now."""


def with_current_keys(value: Any) -> Any:
    """`value` with the keys of today in every object. Not for objects whose keys are names of classes."""
    if isinstance(value, dict):
        return {CURRENT_KEYS.get(key, key): with_current_keys(held) for key, held in value.items()}
    return [with_current_keys(held) for held in value] if isinstance(value, list) else value


def number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return value
    except OverflowError:  # an integer that no float holds
        pass
    return None


def count(value: Any) -> int | None:
    """A number of things, or None."""
    found = number(value)
    return None if found is None else int(found)


def mapping(value: Any) -> Mapping[str, Any]:
    """An object of JSON; empty for anything else."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """A list; empty for anything else."""
    return list(value) if isinstance(value, (list, tuple)) else []
