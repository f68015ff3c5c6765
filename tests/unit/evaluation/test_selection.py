"""Which evaluated checkpoint is the best."""

import math

import pytest

from app import runs
from app.evaluation import selection

MAP, LOSS = "DetectionBoxes_Precision/mAP", "Loss/total_loss"


@pytest.fixture
def run(tmp_path):
    made = runs.Run(tmp_path)
    for path in (made.pipeline_config, made.label_map):
        path.write_text(path.name)
    return made


def save(run, step):
    for end in ("index", "data-00000-of-00001"):
        (run.root / f"ckpt-{step}.{end}").write_text(str(step))


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        (MAP, [0.1, 0.4, 0.3], 20),
        (LOSS, [0.9, 0.2, 0.5], 20),
        (MAP, [math.nan, 0.2, math.nan], 20),
        (MAP, [0.3, 0.3, 0.3], 10),
    ],
)
def test_the_best_by_metric_is_copied(run, metric, values, best):
    """Precision: the highest; loss: the lowest; NaN never; the earliest among equals."""
    for step, value in zip((10, 20, 30), values, strict=True):
        save(run, step)
        selection.keep_best(run, step, {metric: value}, metric)
    card = runs.read_json(run.best_card)
    assert card["step"] == best
    assert sorted(path.name for path in run.best.iterdir()) == [
        "best.json", "checkpoint", f"ckpt-{best}.data-00000-of-00001", f"ckpt-{best}.index",
        "label_map.pbtxt", "pipeline.config",
    ]  # fmt: skip


def test_another_metric_starts_anew(run):
    """A best by one metric is no bar for another."""
    save(run, 10)
    selection.keep_best(run, 10, {MAP: 0.9, LOSS: 2.0}, MAP)
    save(run, 20)
    assert selection.keep_best(run, 20, {MAP: 0.1, LOSS: 1.0}, LOSS)
    assert runs.read_json(run.best_card)["step"] == 20
