"""Values of files that another version of detbox, or a hand, may have written: of the type asked for, or nothing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


MOST = 2**53
"""The greatest whole number that every reader of JSON has exactly."""
LONGEST_NAME = 255
"""Bytes of a file's name at most, on the file systems of today."""
LAST_PROCESS = 2**31 - 1
"""The greatest number of a process that a kernel takes."""
LAST_MOMENT = 253_402_214_400.0
"""The last day of the year 9999 in Unix seconds: no calendar goes further."""


def number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return value
    except OverflowError:  # an integer that no float holds
        pass
    return None


def count(value: Any) -> int | None:
    """A number of things or of a step, or None."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= MOST else None


def process_number(value: Any) -> int | None:
    """The number of one process, or None: 0 and negative ones mean groups of them."""
    found = count(value)
    return found if found and found <= LAST_PROCESS else None


def moment(value: Any) -> float | None:
    """Unix seconds, or None."""
    found = number(value)
    return found if found is not None and 0 <= found <= LAST_MOMENT else None


def yes_or_no(value: Any) -> bool | None:
    """true or false, or None."""
    return value if isinstance(value, bool) else None


def text(value: Any) -> str | None:
    """Text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def file_name(value: Any) -> str | None:
    """The name of a file, which leads to no other folder; or None."""
    if not text(value) or "/" in value or "\0" in value or value in (".", ".."):
        return None
    return value if len(value.encode(errors="replace")) <= LONGEST_NAME else None


def numbers(value: Any) -> dict[str, float]:
    """The finite numbers of an object by name; empty for anything else."""
    return {name: found for name, held in mapping(value).items() if (found := number(held)) is not None}


def mapping(value: Any) -> Mapping[str, Any]:
    """An object of JSON; empty for anything else."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """A list; empty for anything else."""
    return list(value) if isinstance(value, (list, tuple)) else []


@dataclass(frozen=True)
class Schema:
    """The types of an object's values by key, as functions above; `required`: without these it says nothing.

    Keys that are not named are left as they are.
    """

    types: Mapping[str, Callable[[Any], Any]]
    required: tuple[str, ...] = ()

    def fit(self, value: Any) -> dict[str, Any] | None:
        """`value` without what is of another type; None if it is no object, or then lacks what is required."""
        if not isinstance(value, dict):
            return None
        fitting = dict(value)
        for key in self.types.keys() & value.keys():
            typed = self.types[key](fitting.pop(key))
            if typed is not None:
                fitting[key] = typed
        return fitting if all(key in fitting for key in self.required) else None

    def describe(self) -> str:
        """What is wrong with a value that does not fit."""
        return f"is no object with {' and '.join(self.required)}" if self.required else "is no object"


ANYTHING = Schema({})
