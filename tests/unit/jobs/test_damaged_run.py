"""A folder in the place of a run's file, and a file that a run can't do without. Any contents: tests/unit/fuzz."""

import shutil

import pytest
from refusals import refused
from run_readers import FILES, read_checkpoints, read_health, read_live, read_settings, read_status, write_whole

from app.errors import DetboxError, SettingsError
from app.run.directory import Run
from app.run.preparation import prepared_run


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The folder of models with a finished run, `old`."""
    return write_whole(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_a_files_place_is_no_internal_error(whole_run, tmp_path, name):
    """Nor a file that may not be read."""
    for reader in (read_status, read_health, read_live, read_settings, read_checkpoints):
        shutil.copytree(whole_run, tmp_path / reader.__name__)
        run = Run(tmp_path / reader.__name__ / "old")
        (run.root / name).unlink()
        (run.root / name).mkdir()
        try:
            reader(run)
        except DetboxError as error:
            assert error.remedy


@pytest.mark.parametrize("name", ["run.json", "records/dataset.json"])
def test_what_a_run_was_prepared_with_is_not_done_without(whole_run, tmp_path, name):
    """Trainer and evaluator refuse a run whose record can't be read: they would go on with other settings."""
    shutil.copytree(whole_run, tmp_path / "models")
    (tmp_path / "models/old" / name).write_text("{")
    with refused(SettingsError, where=name) as caught:
        prepared_run(tmp_path / "models", "old")
    assert "detbox prepare" in caught.value.remedy
    assert caught.value.exit_code == 3
