"""`export`: where exports go, and what is looked at before TensorFlow is loaded."""

import pytest

from app.errors import SettingsError
from app.export import session
from app.jobs import export
from app.settings import Settings


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint that is of no run, and its pipeline.config."""
    folder = tmp_path / "zoo" / "ssd"
    folder.mkdir(parents=True)
    (folder / "ckpt-0.index").touch()
    (folder / "ckpt-0.data-00000-of-00001").touch()
    (folder / "pipeline.config").write_text("model { ssd { num_classes: 3 } }")
    return folder


@pytest.fixture
def outputs(monkeypatch):
    """The folders that were exported to; nothing is made there."""
    seen = []
    monkeypatch.setattr(session, "export_formats", lambda checkpoint, forms, load, output, **_: seen.append(output))
    return seen


def settings(tmp_path, checkpoint, **others) -> Settings:
    return Settings(models_dir=tmp_path / "models", run="r", checkpoint=str(checkpoint), **others)


def test_a_checkpoint_of_no_run_goes_to_the_exports_of_the_run_named(tmp_path, checkpoint, outputs):
    """As `docs/commands.md` has it: the run's exports/, or --output."""
    (tmp_path / "models" / "r").mkdir(parents=True)
    export.run(settings(tmp_path, checkpoint))
    export.run(settings(tmp_path, checkpoint, output=str(tmp_path / "out")))
    assert outputs == [tmp_path / "models" / "r" / "exports", tmp_path / "out"]


def test_no_run_and_no_output_is_refused_before_any_work(tmp_path, checkpoint, outputs):
    """TensorFlow takes seconds to load, a model a minute to build."""
    with pytest.raises(SettingsError) as caught:
        export.run(settings(tmp_path, checkpoint))
    assert "--output" in caught.value.remedy
    assert outputs == []
