"""A run's pipeline.config, and the changes of a hand."""

import logging
from types import SimpleNamespace

import pytest
from refusals import refused

from app.errors import DatasetError, SettingsError
from app.pipeline import run_config
from app.run import provenance
from app.run.directory import Run


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path)
    run_config.write_pipeline(made, pipeline("a: 1"))
    return made


def pipeline(text):
    return SimpleNamespace(text=text, diff="")


def test_a_change_by_hand_is_seen(run):
    """Not what detbox itself writes, nor what it goes on with; a run of an older version has no record."""
    assert not run_config.has_changed(run)
    run_config.write_pipeline(run, pipeline("a: 2"))
    assert not run_config.has_changed(run)
    run.pipeline_config.write_text("a: 3")
    assert run_config.has_changed(run)
    provenance.write_given(run, {"batch_size": "8"})
    assert run_config.has_changed(run)
    run_config.record_pipeline(run)
    assert not run_config.has_changed(run)
    assert provenance.read_given(run) == {"batch_size": "8"}
    run.provenance.unlink()
    assert not run_config.has_changed(run)


def test_what_a_hand_wrote_is_kept_when_it_is_made_anew(run, caplog):
    """Beside it, and that is said with the setting that keeps a change."""
    run.pipeline_config.write_text("a: 3")
    with caplog.at_level(logging.WARNING):
        run_config.write_pipeline(run, pipeline("a: 2"))
    assert (run.pipeline_config.read_text(), run.pipeline_by_hand.read_text()) == ("a: 2", "a: 3")
    assert "--config_override" in caplog.text


def test_an_error_of_a_changed_config_is_the_users(run):
    """And so is that of a checkpoint that does not fit; all else stays what it is."""
    assert run_config.refusal(run, KeyError("bug")) is None
    misfit = run_config.refusal(run, AssertionError("no checkpoint value for layer_7"))
    with refused(SettingsError, where="pipeline.config", flag="--run", about="layer_7"):
        raise misfit
    run.pipeline_config.write_text("a: 3")
    with refused(SettingsError, where="pipeline.config", about="by hand"):
        raise run_config.refusal(run, KeyError("bug"))
    assert run_config.refusal(run, DatasetError("no such image")) is None
