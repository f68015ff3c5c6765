"""Figures in words."""

import pytest

from app import humanize


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (42.9, "42 s"), (109, "1:49"), (7309, "2:01:49"), (-3, "0 s")]
)
def test_time_is_short(seconds, text):
    """Seconds, minutes, hours."""
    assert humanize.format_time(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (2_100_000, "2.1 MB"), (8e10, "80.0 GB")])
def test_sizes_are_short(size, text):
    """Steps of 1000, as disks are sold."""
    assert humanize.format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (41.6, "42 s"), (109, "1 min 49 s"), (3599.7, "1 h 0 min"), (7309, "2 h 2 min"), (-3, "0 s")],
)
def test_time_is_spoken(seconds, text):
    """Units are named, and no more than two of them."""
    assert humanize.spell_time(seconds) == text


def test_long_lists_are_cut():
    """The first names, and how many more there are."""
    assert humanize.list_names(["a", "b"]) == "a, b"
    assert humanize.list_names(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
