"""Sizes, times, metrics and lists as text for people."""

import re
from collections.abc import Sequence

NOTHING_TO_MEASURE = "nothing to measure"


def format_figure(value: float | None, digits: int = 3) -> str:
    """A figure of an evaluation; None: there is nothing to measure."""
    return NOTHING_TO_MEASURE if value is None else f"{value:.{digits}f}"


def short_metric(metric: str) -> str:
    """`DetectionBoxes_Precision/mAP` -> `mAP`."""
    return metric.rpartition("/")[2]


def list_names(names: Sequence[str], most: int = 12) -> str:
    """`dog, cat and 3 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def format_bytes(size: float) -> str:
    """`2.1 MB`, with steps of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+) *([kmgt]?)b?", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """`200MB`, `1.5 GB`, `20M`, `0`: steps of 1000, as `format_bytes` writes them. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no number of bytes")
    return round(float(found[1]) * _UNITS[found[2].lower()])


def is_size(text: str) -> bool:
    """Whether `parse_bytes` reads it."""
    return _SIZE.fullmatch(text.strip()) is not None


def format_time(seconds: float) -> str:
    """`42 s`, `1:49` minutes, `2:01:49` hours."""
    whole = max(int(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def spell_time(seconds: float) -> str:
    """`42 s`, `3 min 12 s`, `2 h 5 min`."""
    whole = max(round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    # Rounded to minutes first, or 59.6 minutes would not become an hour.
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours:,} h {minutes} min"


def format_count(number: int, thing: str, things: str = "") -> str:
    """`1 false negative`, `3 false negatives`; `things`: the plural, where it is no `s` at the end."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
