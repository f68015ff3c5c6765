"""When training has stopped getting better."""

import math

import pytest

from app.evaluation import early_stopping
from app.evaluation.early_stopping import Patience
from app.evaluation.selection import Rule
from app.run.directory import Run
from app.run.run_end import read_stop_request, request_stop

MAP, LOSS = "DetectionBoxes_Precision/mAP", "Loss/total_loss"


def rows(values, metric=MAP):
    return [{"step": 10 * at, "metrics": {metric: value}} for at, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "stops"),
    [
        ([0.1, 0.2, 0.2, 0.2], 2, 0.0, True),
        ([0.1, 0.2, 0.2, 0.21], 2, 0.0, False),
        ([0.1, 0.2, 0.2], 2, 0.0, False),
        ([0.2, 0.21, 0.22], 2, 0.05, True),
        ([0.2, 0.21, 0.26], 2, 0.05, False),
        ([0.2, math.nan, math.nan], 2, 0.0, True),
        ([math.nan, math.nan, 0.1], 3, 0.0, False),
        ([-1, -1, -1], 3, 0.0, True),
        ([None, -1, 0.0], 3, 0.0, False),
        ([0.2, 0.1, 0.1, 0.1, 0.1], 0, 0.0, False),
    ],
)
def test_patience_and_least_improvement(values, patience, min_delta, stops):
    """So many evaluations in a row without an improvement of so much; 0 is never; "nothing to measure" is none."""
    reason = early_stopping.stop_reason(rows(values), Rule(metric=MAP), Patience(patience, min_delta))
    assert (reason is not None) is stops


def test_small_steps_add_up_to_an_improvement():
    """Each is measured against the best that counted, not against the one before."""
    assert early_stopping.stop_reason(rows([0.2, 0.23, 0.26, 0.29]), Rule(metric=MAP), Patience(2, 0.05)) is None


def test_a_loss_gets_better_by_falling():
    """By its name, or as the direction says."""
    falling = [0.9, 0.8, 0.7, 0.6]
    assert early_stopping.stop_reason(rows(falling, LOSS), Rule(metric=LOSS), Patience(2)) is None
    assert early_stopping.stop_reason(rows(falling, "score"), Rule(metric="score"), Patience(2))
    assert (
        early_stopping.stop_reason(rows(falling, "score"), Rule(metric="score", direction="lower"), Patience(2)) is None
    )


def test_evaluations_before_the_first_eligible_step_do_not_count():
    """Neither as the best, nor as waiting."""
    found = rows([0.9, 0.9, 0.3, 0.4])
    assert early_stopping.stop_reason(found, Rule(metric=MAP), Patience(2))
    assert early_stopping.stop_reason(found, Rule(metric=MAP, first_step=30), Patience(2)) is None


def test_the_reason_names_what_was_waited_for(tmp_path):
    """Metric, value, step and number of evaluations; the trainer finds it in the run."""
    run = Run(tmp_path)
    reason = early_stopping.stop_reason(rows([0.1, 0.25, 0.2, 0.2]), Rule(metric=MAP), Patience(2, 0.01))
    assert reason == f"early-stopped: {MAP} 0.2500 of step 20 was not improved by 0.01 in 2 evaluations"
    request_stop(run, 40, reason)
    assert read_stop_request(run) == reason
