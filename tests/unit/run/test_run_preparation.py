"""What a command requires of a run's directory."""

import pytest

from app.errors import SettingsError
from app.run import preparation
from app.run.directory import Run, find_run
from app.run.files import write_json, write_text
from app.run.preparation import new_directory, prepared_run
from app.run.run_end import finished_training


def test_a_failed_preparation_leaves_no_empty_folder(tmp_path):
    """What was made for a run that came to nothing goes again; what holds files stays."""
    run = Run(tmp_path / "models" / "r")
    with pytest.raises(ValueError), new_directory(run):
        raise ValueError
    assert not run.root.exists()
    with pytest.raises(ValueError), new_directory(run):
        run.label_map.write_text("kept")
        raise ValueError
    assert run.label_map.read_text() == "kept"


def test_a_run_that_was_not_prepared_is_refused(tmp_path):
    """With the first file that is missing; nothing is made."""
    with pytest.raises(SettingsError) as caught:
        prepared_run(tmp_path, "r")
    assert caught.value.where == str(tmp_path / "r")
    assert "detbox prepare" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_prepared_run_is_found(tmp_path):
    """By the three files that `prepare` writes; its paths are absolute."""
    run = find_run(tmp_path, "r")
    run.records.mkdir(parents=True)
    for path in (run.pipeline_config, run.label_map, run.dataset_card):
        path.write_text('{"classes": []}')
    assert prepared_run(tmp_path / "." / "r" / "..", "r") == run


def test_two_services_look_at_the_same_moment_whether_it_can_be_written(tmp_path, monkeypatch):
    """Each writes a file and removes it; that the other has removed it meanwhile is no fault."""

    def write_beside_another(path, text):
        write_text(path, text)
        path.unlink()

    run = find_run(tmp_path, "r")
    run.records.mkdir(parents=True)
    for path in (run.pipeline_config, run.label_map, run.dataset_card):
        path.write_text('{"classes": []}')
    monkeypatch.setattr(preparation, "write_text", write_beside_another)
    assert prepared_run(tmp_path, "r") == run


@pytest.mark.parametrize(
    ("done", "steps", "finished"),
    [
        (None, 100, False),
        ({"step": 100, "of": 100}, 100, True),
        ({"step": 100, "of": 100}, 200, False),
        ({"step": 60, "of": 100, "reason": "early-stopped"}, 100, True),
        ({"step": 60, "of": 100, "reason": "early-stopped"}, 120, False),
    ],
)
def test_training_is_finished_by_what_done_says(tmp_path, done, steps, finished):
    """A run that stopped early is finished for the number of steps that it was to train."""
    run = Run(tmp_path)
    if done:
        write_json(run.done, done)
    assert bool(finished_training(run, steps)) is finished
