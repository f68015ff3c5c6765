"""A small prepared run."""

import pytest
from command import copy_of, detbox

from app.run.directory import Run

SMALL = ["--sample_images=30", "--batch_size=2", "--eval_batch_size=3", "--eval_image_outputs=1"]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Run:
    """A run on a small sample, prepared and not trained. To be copied, not changed."""
    models = tmp_path_factory.mktemp("models")
    result = detbox("prepare", f"--models_dir={models}", "--run=small", "--num_train_steps=200", *SMALL)
    assert result.returncode == 0, result.stderr
    return Run(models / "small")


@pytest.fixture
def fresh(prepared, tmp_path) -> Run:
    """A copy of the prepared run that a test may train."""
    return copy_of(prepared, tmp_path / "small")
