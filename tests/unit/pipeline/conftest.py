"""Pipelines to edit and check."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.pipeline.build import Pipeline, Request, build
from app.pipeline.origin import preset_text
from app.protos import pipeline_config

DATA = {
    "num_classes": 3,
    "label_map_path": "/models/run/label_map.pbtxt",
    "train_records": "/models/run/records/train-*",
    "eval_records": "/models/run/records/eval-*",
}


@pytest.fixture
def make() -> Callable[..., Pipeline]:
    """Builds a pipeline for a set of three classes with the given values."""
    return lambda **values: build(Request(**{**DATA, **values}))


@pytest.fixture
def hands(test_data: Path) -> Path:
    """A real checkpoint in the model zoo's layout, with the zoo's own pipeline.config."""
    return test_data / "pretrained" / "ssd_mobilenet_v2_fpnlite_320x320_hands"


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., str]:
    """Writes a preset with `changes` (proto text) merged into it; returns its path."""

    def write(preset: str, changes: str) -> str:
        config = pipeline_config.parse_pipeline(preset_text(preset), where=preset)
        pipeline_config.merge_pipeline(changes, config, where="changes")
        path = tmp_path / "model.config"
        path.write_text(pipeline_config.print_pipeline(config))
        return str(path)

    return write
