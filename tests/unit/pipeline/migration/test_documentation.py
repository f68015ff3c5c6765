"""docs/from-tf1.md has every name that migrate knows."""

from pathlib import Path

import pytest

from app.pipeline.migration import run_settings, tf2_counterpart, training

PAGE = (Path(__file__).parents[4] / "docs" / "from-tf1.md").read_text(encoding="utf-8")
RUN = {**run_settings.SAME, **run_settings.GONE, **run_settings.BY_HAND}
OURS = {"checkpoint_every_n", "checkpoint_max_to_keep", "config_override"}
"""Settings of detbox that model_main_tf2 had too, or that migrate takes as they are."""
CONFIG = {**training.TRAIN, **training.READER, **training.EVAL, **dict.fromkeys(training.FREEZING)}


@pytest.mark.parametrize("name", sorted({*RUN} - OURS))
def test_run_settings(name):
    """A run setting is in the table, with what it becomes."""
    section = PAGE.split("## Run settings")[1].split("## ")[0]
    (row,) = [row for row in section.splitlines() if row.startswith("|") and f"`{name}`" in row.split("|")[1]]
    becomes = row.split("|")[2]
    if name in run_settings.GONE:
        assert "nothing" in becomes
    else:
        assert f"`{run_settings.SAME.get(name, 'config_override')}`" in becomes


@pytest.mark.parametrize("name", sorted({*CONFIG} - {"external_input_reader"}))
def test_fields(name):
    """A field that is dropped is on the page."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", sorted({*tf2_counterpart.COUNTERPARTS, *tf2_counterpart.NEAREST}))
def test_models(name):
    """A feature extractor is in one of the two tables; one without a counterpart beside what is nearest."""
    (row,) = [row for row in PAGE.splitlines() if row.startswith("|") and f"`{name}`" in row.split("|")[1]]
    assert f"`{tf2_counterpart.NEAREST[name]}`" in row if name in tf2_counterpart.NEAREST else "_keras`" in row
