"""Which checkpoints are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.training.retention import plan_retention


@pytest.mark.parametrize(
    ("steps", "evaluated", "keep", "backlog", "delete", "unseen"),
    [
        ([10, 20, 30], [10, 20, 30], 2, 5, (10,), ()),
        ([10, 20, 30], [], 2, 5, (), ()),
        ([10, 20, 30, 40], [], 1, 1, (10, 20), (10, 20)),
        ([10, 20, 30, 40], [20], 1, 1, (10, 20), (10,)),
        ([10, 20, 30], [], 2, 0, (10,), (10,)),
        ([10], [], 5, 0, (), ()),
        ([], [], 1, 0, (), ()),
    ],
)
def test_the_newest_and_the_unseen_stay(steps, evaluated, keep, backlog, delete, unseen):
    """Evaluated checkpoints beyond the newest go; unseen ones wait within their bound."""
    verdict = plan_retention(steps, evaluated, max_to_keep=keep, backlog_max=backlog)
    assert (verdict.delete, verdict.unseen) == (delete, unseen)


@given(
    st.sets(st.integers(0, 200), max_size=30),
    st.sets(st.integers(0, 200), max_size=30),
    st.integers(1, 8),
    st.integers(0, 8),
)
def test_bounds_hold(steps, evaluated, keep, backlog):
    """What stays is never more than newest plus backlog, and always has the newest."""
    verdict = plan_retention(steps, evaluated, max_to_keep=keep, backlog_max=backlog)
    stays = sorted(set(steps) - set(verdict.delete))
    assert len(stays) <= keep + backlog
    assert stays[-keep:] == sorted(steps)[-keep:]
    assert set(verdict.unseen) <= set(verdict.delete) - set(evaluated)
