"""A bounded number of changed inputs for every reader; scripts/fuzz gives them more."""

import pytest
from engine import run
from targets import TARGETS

INPUTS = 30
"""For each target."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_any_input_is_read_or_refused_in_one_line(target, tmp_path):
    """In time and in bounds of memory, with nothing written outside its own folder and no other program started."""
    counts, unsound = run(target, tmp_path, INPUTS, seed=0)
    assert not unsound, unsound[0]
    assert counts.total() == INPUTS
