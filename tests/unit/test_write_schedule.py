"""Every cadence of a run, from the settings."""

import pytest

from app.settings import Settings
from app.write_schedule import write_schedule


@pytest.mark.parametrize(("steps", "every"), [(5, 1), (400, 40), (10_000, 1000), (50_000, 1000)])
def test_checkpoints_come_every_tenth_of_the_run(steps, every):
    """At most every 1000 steps."""
    assert write_schedule(Settings(), steps).checkpoint_every_n == every


def test_what_is_given_wins():
    """Steps or seconds between checkpoints, as given."""
    assert write_schedule(Settings(checkpoint_every_n=7), 400).checkpoint_every_n == 7
    assert write_schedule(Settings(checkpoint_every_secs=60), 400).checkpoint_every_secs == 60


def test_the_learning_rate_goes_with_the_losses_unless_told_otherwise():
    """0 means as often as `summary_every_n`."""
    assert write_schedule(Settings(summary_every_n=30), 400).learning_rate_summary_every_n == 30
    assert write_schedule(Settings(learning_rate_summary_every_n=9), 400).learning_rate_summary_every_n == 9
