"""Slurm's short forms of lists."""

import pytest

from app.machine import hostlist


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node1", ["node1"]),
        ("a,b", ["a", "b"]),
        ("gpu[08-11,3]", ["gpu08", "gpu09", "gpu10", "gpu11", "gpu3"]),
        ("a[1-2]x[3,4].net,b", ["a1x3.net", "a1x4.net", "a2x3.net", "a2x4.net", "b"]),
    ],
)
def test_host_lists(text, hosts):
    """Ranges keep the width of their first number, and the order of the list."""
    assert hostlist.expand(text) == hosts


@pytest.mark.parametrize("text", ["", "a[1-", "a[2-1]", "a[x]", "a,,b", "a[1-99999999]", "a]b"])
def test_what_is_no_host_list(text):
    """Including one that stands for more hosts than there are."""
    with pytest.raises(ValueError, match="host"):
        hostlist.expand(text)


def test_counts_per_node():
    """`2(x3),1` is three nodes of two and one of one."""
    assert hostlist.expand_counts("2(x3),1") == [2, 2, 2, 1]
    with pytest.raises(ValueError, match="counts"):
        hostlist.expand_counts("2(3)")
