"""Where a run that diverged goes back to."""

import pytest
from refusals import refused

from app.errors import DivergedError
from app.run.directory import Run
from app.run.evaluations import append_evaluation, evaluated_steps
from app.run.metrics import append_metrics
from app.run.rollbacks import read_rollbacks
from app.training import divergence, resume


def rows(*losses):
    """Rows of metrics.jsonl at steps 10, 20 and so on; None: a row without a loss."""
    return [{"step": 10 * at, **({} if loss is None else {"loss": loss})} for at, loss in enumerate(losses, start=1)]


@pytest.mark.parametrize(
    ("losses", "good"),
    [
        ([2, 1.5, 1.2, 1.1, 1.0], (50, False)),
        ([2, 1.5, 1.2, 1.1, 40, 90], (40, True)),
        ([2, 50, 90], (10, True)),
        ([90, 50, 9, 2, 1.5, 1.2, 1.4], (70, False)),
        ([2, 90, 1.5, 1.2, 1.1], (50, False)),
        ([2, 1.5, None, 30], (20, True)),
        ([3], (10, False)),
        ([], (0, False)),
    ],
    ids=["falls", "explodes", "explodes early", "high start", "one high loss", "a null", "one row", "no row"],
)
def test_the_explosion_is_what_the_losses_end_with(losses, good):
    """High losses at the start, or one among good ones, are none."""
    assert divergence.last_good_loss(rows(*losses)) == good


@pytest.mark.parametrize(
    ("checkpoints", "losses", "step"),
    [
        ([20, 40, 60], [2, 1.5, 1.2, 1.1, 40, 90], 40),
        ([20, 45], [2, 1.5, 1.2, 1.1, 40, 90], 20),
        ([45, 60], [2, 1.5, 1.2, 1.1, 40, 90], None),
        ([20, 60], [2, 1.5, 1.2, 1.1, 1.0], 20),
        ([55, 60], [2, 1.5, 1.2, 1.1, 1.0], 55),
        ([], [2, 1.5], None),
        ([10, 20], [], 10),
    ],
)
def test_checkpoint_is_no_later_than_the_last_good_loss(checkpoints, losses, step):
    """Where nothing is known to have exploded, the oldest is better than none."""
    assert divergence.last_good(checkpoints, rows(*losses)) == step


@pytest.fixture
def run(tmp_path):
    """A run with checkpoints at 20, 40 and 60 whose loss exploded after 40; 40 and 60 are evaluated."""
    run = Run(tmp_path / "r")
    run.root.mkdir()
    for row in rows(2, 1.5, 1.2, 1.1, 40, 90):
        append_metrics(run, row)
    for step in (20, 40, 60):
        for end in ("index", "data-00000-of-00001"):
            (run.root / f"ckpt-{step}.{end}").touch()
    for step in (40, 60):
        append_evaluation(run, {"step": step}, {})
    return run


def test_rollback_sets_aside_what_is_of_the_explosion(run):
    """Its checkpoints and their evaluations count no more, so that the steps are evaluated when they are made again."""
    error = DivergedError("the loss of step 62 is not finite; nothing was saved")
    assert divergence.roll_back(run, error, before=0.1, rate=0.01) == 40
    assert run.checkpoint_steps() == [20, 40]
    assert len(list(run.broken.iterdir())) == 2
    assert evaluated_steps(run) == {40}
    append_evaluation(run, {"step": 60}, {})
    assert evaluated_steps(run) == {40, 60}
    assert str(read_rollbacks(run)[0]) == "to step 40, learning rate 0.01: the loss of step 62 is not finite"


def test_rollbacks_of_a_run_are_bounded(run):
    """They are counted in the run's files; the last error says that they are used up."""
    error = DivergedError("the loss of step 62 is not finite")
    for _ in range(divergence.ROLLBACKS):
        divergence.roll_back(run, error, before=0.1, rate=0.01)
    with refused(DivergedError, flag="--learning_rate", about="rollbacks are used up"):
        divergence.roll_back(run, error, before=0.1, rate=0.01)
    assert len(read_rollbacks(run)) == divergence.ROLLBACKS


def test_run_may_go_back_to_its_beginning(run):
    """Without a checkpoint from before the explosion; the next start then begins anew."""
    for step in (20, 40):
        (run.root / f"ckpt-{step}.index").unlink()
    assert divergence.roll_back(run, DivergedError("it diverged"), before=0.1, rate=0.01) == 0
    assert run.checkpoint_steps() == []
    resume.refuse_lost_progress(run)
