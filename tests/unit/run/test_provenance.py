"""The settings that a run's provenance gives to another run."""

import pytest
from refusals import refused

from app.environment import load
from app.errors import SettingsError
from app.run import provenance
from app.run.directory import Run
from app.run.files import read_object, write_json


@pytest.fixture
def made(tmp_path):
    """The run.json of a run that was made with a few settings."""
    run = Run(tmp_path / "wheels")
    settings = {
        "models_dir": "elsewhere", "run": "", "dataset": "", "batch_size": 4, "learning_rate": None, "seed": 3,
        "deterministic": True, "worker_port": 9, "gone": 1,
    }  # fmt: skip
    write_json(run.provenance, {"settings": settings, "given": {"image_size": "64"}, "dataset": "/data/wheels"})
    return run.provenance


def settings(**flags):
    return load(flags, environ={}, dotenv=None)


def test_a_run_is_made_again_with_what_makes_it(made):
    """Data, model, training and evaluation; where it lies and by how many is this command's own."""
    again = provenance.settings_again(made, settings(models_dir="here"))
    assert (again.batch_size, again.image_size, again.seed, again.learning_rate) == (4, "64", 3, None)
    assert again.deterministic and again.dataset == "/data/wheels" and again.run_name == "wheels-again"
    assert str(again.models_dir) == "here" and again.worker_port == settings().worker_port


def test_a_batch_size_that_was_found_is_that_of_the_run_made_again(made):
    """Another machine would find another."""
    found = {"settings": {"batch_size": "auto"}, "given": {"batch_size": "auto"}, "batch_search": {"batch_size": 12}}
    write_json(made, read_object(made) | found)
    assert provenance.settings_again(made, settings()).batch_size == 12
    assert provenance.settings_again(made, settings(batch_size="auto")).batch_size == "auto"


def test_what_is_given_now_wins(made):
    """By flag: a name, a longer run, the data set's new place."""
    again = provenance.settings_again(made, settings(run="longer", batch_size="8", dataset="/moved"))
    assert (again.run, again.batch_size, again.dataset) == ("longer", 8, "/moved")


@pytest.mark.parametrize("content", [None, {}, {"settings": 1}, {"given": []}])
def test_what_is_no_provenance_is_refused(tmp_path, content):
    """Also a file that is not there."""
    path = tmp_path / "run.json"
    if content is not None:
        write_json(path, content)
    with refused(SettingsError, where="run.json", flag="--from_run"):
        provenance.settings_again(path, settings())


def test_the_data_set_of_an_older_run_must_be_given(tmp_path):
    """Its run.json does not say where that was."""
    path = tmp_path / "run.json"
    write_json(path, {"settings": {"batch_size": 4}})
    with refused(SettingsError, where="run.json", flag="--dataset"):
        provenance.settings_again(path, settings())
    assert provenance.settings_again(path, settings(dataset="/data")).batch_size == 4


def test_what_differs_is_named(made, tmp_path):
    """Another version, other data."""
    before = {"versions": {"numpy": "1", "python": "3"}, "dataset_fingerprint": "a", "patches": {}}
    write_json(made, before)
    again = Run(tmp_path / "again")
    write_json(again.provenance, before | {"versions": {"numpy": "2", "python": "3"}, "dataset_fingerprint": "b"})
    assert provenance.describe_differences(made, again) == ["dataset_fingerprint differs", "numpy was 1, is 2"]
    assert provenance.describe_differences(made, Run(made.parent)) == []
