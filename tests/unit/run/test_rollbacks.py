"""What rollbacks make of a learning rate."""

import pytest

from app.run.directory import Run
from app.run.rollbacks import Rollback, append_rollback, lowered_rate, read_rollbacks

TWICE = [
    Rollback(step=1, learning_rate_before=0.1, learning_rate=0.01),
    Rollback(step=1, learning_rate_before=0.01, learning_rate=0.001),
]


@pytest.mark.parametrize(
    ("rate", "lowered"), [(0.1, 0.001), (0.1000000015, 0.001), (0.01, 0.001), (0.001, 0.001), (0.02, 0.02)]
)
def test_rate_is_lowered_once_however_often_it_is_asked_for(rate, lowered):
    """Also one that stopped halfway; another rate than the one that diverged is left alone."""
    assert lowered_rate(rate, TWICE) == lowered


def test_damaged_line_is_no_rollback(tmp_path):
    """The others count."""
    run = Run(tmp_path)
    append_rollback(run, step=20, before=0.1, rate=0.01, reason="a", evaluations=1)
    with open(run.rollbacks, "a") as file:
        file.write('{"step": "x"}\nno JSON\n')
    assert [found.step for found in read_rollbacks(run)] == [20]
