"""What is said of a path of the host, where a container sees others."""

from pathlib import Path

import pytest
from refusals import refused

from app import host_paths
from app.dataset.formats.registry import resolve_reader
from app.environment import COMPOSE
from app.errors import DatasetError, SettingsError
from app.pipeline import origin


def test_nothing_outside_of_containers():
    """There a path is what it says."""
    assert host_paths.hint("/home/me/flowers", "DETBOX_DATASET=", {}) == ""


@pytest.mark.parametrize("path", ["data/flowers", "/data/flowers", "/models/zoo/x"])
def test_what_is_below_a_mounted_folder(path):
    """The hint says which folder of the host that is."""
    assert "DETBOX_DATA_DIR" in host_paths.hint(path, "DETBOX_DATASET=", {COMPOSE: "true"})


def test_a_path_of_the_host_can_be_given_as_the_hint_says():
    """The folder above it becomes /data."""
    told = host_paths.hint(Path("/home/me/flowers"), "DETBOX_DATASET=", {COMPOSE: "true"})
    assert "DETBOX_DATA_DIR=/home/me in .env" in told and "DETBOX_DATASET=data/flowers" in told


def test_data_sets_models_and_checkpoints_say_so(monkeypatch):
    """Each with its own variable."""
    monkeypatch.setenv(COMPOSE, "true")
    with refused(DatasetError, flag="DETBOX_DATASET=data/flowers"):
        resolve_reader(Path("/nowhere/me/flowers"))
    with refused(SettingsError, flag="DETBOX_FINE_TUNE_CHECKPOINT=data/ckpt-0"):
        origin.checkpoint_prefix("/nowhere/me/ckpt-0")
    with refused(SettingsError, flag="DETBOX_MODEL=data/my.config"):
        origin.find_origin("/nowhere/me/my.config", "")
