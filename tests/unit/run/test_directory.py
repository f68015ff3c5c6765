"""The names of a run's files."""

import pytest

from app.errors import SettingsError
from app.run.directory import Run, find_run, find_runs


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "serving", "-x", "a b", "x" * 101])
def test_a_name_that_leaves_models_dir_is_refused(tmp_path, name):
    """No name reaches another folder or detbox's own."""
    with pytest.raises(SettingsError) as caught:
        find_run(tmp_path, name)
    assert "--run" in caught.value.remedy


def test_finding_a_run_writes_nothing(tmp_path):
    """A reader may look for a run that is not there."""
    run = find_run(tmp_path, "2024")
    assert (run.name, run.root, list(tmp_path.iterdir())) == ("2024", tmp_path / "2024", [])
    assert run.checkpoint_steps() == []


def test_checkpoint_steps_are_whole_checkpoints_in_order(tmp_path):
    """Data without an index (a write cut short) and names of another kind don't count."""
    for name in (
        "ckpt-20.index",
        "ckpt-3.index",
        "ckpt-100.data-00000-of-00001",
        "ckpt-x.index",
        "ckpt-7.tmp",
    ):
        (tmp_path / name).touch()
    assert Run(tmp_path).checkpoint_steps() == [3, 20]


def test_runs_are_found_by_their_files(tmp_path):
    """A folder with a config, a heartbeat or a metric; not detbox's own folders, nor a stranger's."""
    for path in ("b/pipeline.config", "a/status/trainer.json", "c/metrics.jsonl", "zoo/pipeline.config", "d/notes"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    assert [run.name for run in find_runs(tmp_path)] == ["a", "b", "c"]
    assert find_runs(tmp_path / "none") == []
