"""Which of a run's outputs are there, so that an evaluator of a finished run need not make them again."""

import os

import pytest

from app.run.directory import Run
from app.run.files import write_json, write_text
from app.services.run_state import has_outputs


@pytest.fixture
def run(tmp_path):
    """A run with a best checkpoint, and afterwards a report, drawn images and an export."""
    run = Run(tmp_path)
    write_json(run.best_card, {"step": 9})
    for path in (run.report, run.detections_index, run.export_card("onnx")):
        write_text(path, "{}")
    return run


def test_all_that_is_asked_for_has_to_be_there(run):
    """An export in another form has to be made."""
    assert has_outputs(run, images=True, forms=["onnx"])
    assert not has_outputs(run, images=True, forms=["onnx", "tflite"])


def test_what_is_older_than_the_best_checkpoint_is_not_of_it(run):
    """Images are drawn again then, unless none are asked for."""
    best = run.best_card.stat().st_mtime
    os.utime(run.detections_index, (best - 1, best - 1))
    assert not has_outputs(run, images=True, forms=[])
    assert has_outputs(run, images=False, forms=["onnx"])


def test_without_a_best_checkpoint_nothing_is_there(run):
    """The evaluator looks whether there is anything to make."""
    run.best_card.unlink()
    assert not has_outputs(run, images=False, forms=[])
