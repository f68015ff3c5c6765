"""What a trial's process reported, as far as it came."""

import json

import pytest

from app.pipeline.trial_report import Failure, Stage, TrialReport, read_report, write_report


@pytest.mark.parametrize("failure", [None, Failure("x", "model", True), Failure("y")])
def test_round_trip(tmp_path, failure):
    """With a failure or without."""
    report = TrialReport(Stage.TRAINING, ended=True, failure=failure)
    write_report(tmp_path / "a", report)
    assert read_report(tmp_path / "a") == report


@pytest.mark.parametrize(
    "row",
    [{}, [], {"stage": "x"}, {"stage": "a training step"}, {"stage": "a training step", "ended": 1},
     {"stage": ["a training step"], "ended": True}, {"stage": "a training step", "ended": True, "failure": []}],
)  # fmt: skip
def test_what_is_no_report_is_none(tmp_path, row):
    """One with a failure of which nothing is known is none that passed."""
    (tmp_path / "a").write_text(json.dumps(row))
    assert read_report(tmp_path / "a") is None
