"""Which evaluated checkpoint is the best."""

import math

import pytest

from app.evaluation import selection
from app.evaluation.selection import Rule
from app.run.directory import Run
from app.run.files import append_line, read_json

MAP, LOSS = "DetectionBoxes_Precision/mAP", "Loss/total_loss"


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path)
    for path in (made.pipeline_config, made.label_map):
        path.write_text(path.name)
    return made


def save(run, step):
    for end in ("index", "data-00000-of-00001"):
        (run.root / f"ckpt-{step}.{end}").write_text(str(step))


def keep(run, step, metrics, rule):
    return selection.keep_best(run, run.checkpoint(step), step, metrics, {"iou": 0.5}, rule)


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        (MAP, [0.1, 0.4, 0.3], 20),
        (LOSS, [0.9, 0.2, 0.5], 20),
        (MAP, [math.nan, 0.2, math.nan], 20),
        (MAP, [-1, 0.0, -1], 20),
        (LOSS, [None, 0.5, -1], 20),
        ("PascalBoxes_Precision/mAP@0.5IOU", [0.1, 0.4, 0.3], 20),
        ("DetectionMasks_Precision/mAP", [0.1, 0.4, 0.3], 20),
        ("Keypoints_Precision/mAP ByCategory/dog", [0.1, 0.4, 0.3], 20),
        (MAP, [0.3, 0.3, 0.3], 10),
    ],
)
def test_the_best_by_metric_is_copied(run, metric, values, best):
    """Precision: the highest; loss: the lowest; what says "nothing to measure" never; the earliest among equals."""
    for step, value in zip((10, 20, 30), values, strict=True):
        save(run, step)
        keep(run, step, {metric: value}, Rule(metric=metric))
    card = read_json(run.best_card)
    assert card["step"] == best
    assert sorted(path.name for path in run.best.iterdir()) == [
        "best.json", "checkpoint", f"ckpt-{best}.data-00000-of-00001", f"ckpt-{best}.index",
        "label_map.pbtxt", "pipeline.config",
    ]  # fmt: skip


def test_another_metric_starts_anew(run):
    """A best by one metric is no bar for another."""
    save(run, 10)
    keep(run, 10, {MAP: 0.9, LOSS: 2.0}, Rule(metric=MAP))
    save(run, 20)
    assert keep(run, 20, {MAP: 0.1, LOSS: 1.0}, Rule(metric=LOSS))
    assert read_json(run.best_card)["step"] == 20


def test_the_direction_can_be_given(run):
    """It goes before what the name of the metric says."""
    for step, value in ((10, 0.4), (20, 0.2)):
        save(run, step)
        keep(run, step, {"distance": value}, Rule(metric="distance", direction="lower"))
    card = read_json(run.best_card)
    assert (card["step"], card["direction"], card["details"]) == (20, "lower", {"iou": 0.5})


def test_no_checkpoint_is_the_best_before_its_time(run):
    """One epoch of 20 images at a batch of 8 has passed at step 3, not at step 2."""
    first = selection.first_eligible_step(1.0, batch_size=8, images=20)
    rule = Rule(metric=MAP, first_step=first)
    for step in (2, 3):
        save(run, step)
    assert not keep(run, 2, {MAP: 0.9}, rule)
    assert not run.best.exists()
    assert keep(run, 3, {MAP: 0.1}, rule)


@pytest.mark.parametrize(
    ("epochs", "batch_size", "images", "step"), [(0, 8, 20, 0), (1, 8, 24, 3), (2.5, 4, 10, 7), (0.1, 1, 10, 1)]
)
def test_epochs_as_steps(epochs, batch_size, images, step):
    """Epochs are step times batch size over images."""
    assert selection.first_eligible_step(epochs, batch_size=batch_size, images=images) == step


def test_the_training_loss_is_that_of_the_step(run):
    """The newest line at or before it; of a step that was trained twice, the later."""
    for step, loss in ((10, 0.9), (20, 0.8), (30, 0.7), (20, 0.6), (40, math.nan)):
        append_line(run.metrics, {"step": step, "loss": loss})
    assert [selection.training_loss(run, step) for step in (5, 10, 25, 30, 40)] == [None, 0.9, 0.6, 0.7, None]


def test_a_metric_that_is_missing_is_never_the_best(run):
    """So is the training loss of a run without any lines."""
    save(run, 10)
    assert not keep(run, 10, {MAP: 0.5}, Rule(metric=selection.TRAINING_LOSS))


@pytest.mark.parametrize("moved", ["old", "best"])
def test_a_best_that_was_being_replaced_is_restored(run, moved):
    """Killed between the two renames of `files.replacing`, the new folder is there as well as the old."""
    save(run, 10)
    keep(run, 10, {MAP: 0.5}, Rule(metric=MAP))
    staging = run.root / ".best.abc"
    staging.mkdir()
    run.best.rename(staging / moved)
    (run.root / ".best.half").mkdir()
    selection.restore_best(run, Rule(metric=MAP))
    assert read_json(run.best_card)["step"] == 10
    assert not list(run.root.glob(".best.*"))


@pytest.mark.parametrize("nothing", [-1, -1.0, math.nan, None])
def test_where_there_is_nothing_to_measure_no_checkpoint_is_the_best(run, nothing):
    """Not even the first; and an older version's best of that kind is beaten by any figure."""
    save(run, 10)
    assert not keep(run, 10, {MAP: nothing}, Rule(metric=MAP))
    assert not run.best.exists()
    assert Rule(metric=MAP).is_better(0.0, nothing)
    assert Rule(metric=LOSS).is_better(9.0, nothing)
