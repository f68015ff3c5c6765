"""`zoo`, and a zoo's name where a model is asked for."""

import dataclasses
import json
from pathlib import Path

import pytest

from app.errors import SettingsError
from app.jobs import zoo_fetch, zoo_list
from app.jobs.prepare import with_zoo_folders
from app.pipeline.origin import find_origin
from app.run import provenance
from app.settings import Settings
from entrypoint.results import present

NAME = "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Settings whose mirror is a folder with one model, for which tiny's pipeline.config will do."""
    from app.pipeline.origin import preset_text

    model = tmp_path / "mirror" / NAME
    (model / "checkpoint").mkdir(parents=True)
    (model / "pipeline.config").write_text(preset_text("tiny"))
    for name in ("checkpoint", "ckpt-0.index", "ckpt-0.data-00000-of-00001"):
        (model / "checkpoint" / name).write_text(name)
    return Settings(models_dir=tmp_path / "models", zoo_mirror=str(tmp_path / "mirror"))


def test_list_marks_what_is_here(settings):
    """The table has a line a model; a fetched one is marked, and named with its folder in the JSON."""
    before = zoo_list.run(settings)
    assert [row["folder"] for row in before.models if row["folder"]] == []
    assert len(str(before).splitlines()) == len(before.models) + 2
    zoo_fetch.run(dataclasses.replace(settings, model=NAME))
    after = json.loads(present(zoo_list.run(settings), as_json=True))["models"]
    assert {row["name"]: row["folder"] for row in after if row["folder"]} == {
        NAME: str(settings.models_dir / "zoo" / NAME)
    }
    (line,) = [line for line in str(zoo_list.run(settings)).splitlines() if line.endswith("yes")]
    assert NAME in line and "320x320" in line and "22.2" in line


def test_fetch_says_what_it_did(settings):
    """First that it is new and where from, with its sha256 and what that is worth; then that it was there."""
    asked = dataclasses.replace(settings, model="SSD MobileNet V2 FPNLite 320x320")
    first, second = zoo_fetch.run(asked), zoo_fetch.run(asked)
    assert (first.new, second.new) == (True, False)
    assert first.sha256 == second.sha256 and first.sha256 in str(first)
    assert "upstream publishes none" in str(first) and "already there" in str(second)
    assert str(Path(settings.zoo_mirror) / NAME) in str(first)


def test_a_zoos_name_is_a_model(settings):
    """It is fetched, its folder becomes the model, and training starts from its own checkpoint."""
    made = with_zoo_folders(dataclasses.replace(settings, model=NAME))
    folder = str(settings.models_dir.resolve() / "zoo" / NAME)
    assert (made.model, made.fine_tune_checkpoint) == (folder, folder)
    assert find_origin(made.model, made.fine_tune_checkpoint).name == f"{folder}/pipeline.config"
    assert with_zoo_folders(made) == made


@pytest.mark.parametrize("checkpoint", ["none", "/models/other/ckpt-5"])
def test_another_checkpoint_than_the_zoos(settings, checkpoint):
    """What was asked for stays: other weights, or random ones."""
    made = with_zoo_folders(dataclasses.replace(settings, model=NAME, fine_tune_checkpoint=checkpoint))
    assert made.fine_tune_checkpoint == checkpoint


def test_a_zoos_name_is_a_checkpoint(settings):
    """A preset can start from a zoo's weights by their name."""
    made = with_zoo_folders(dataclasses.replace(settings, model="tiny", fine_tune_checkpoint=NAME))
    assert (made.model, made.fine_tune_checkpoint) == ("tiny", str(settings.models_dir.resolve() / "zoo" / NAME))


@pytest.mark.parametrize("model", ["", "tiny", "efficientdet_d0"])
def test_presets_come_first(settings, model):
    """A preset, or no model, is left as it is: nothing is fetched."""
    asked = dataclasses.replace(settings, model=model)
    assert with_zoo_folders(asked) == asked and not (settings.models_dir / "zoo").exists()


def test_paths_come_before_the_zoo(settings, tmp_path, monkeypatch):
    """A folder that is called like a zoo's model is that folder."""
    monkeypatch.chdir(tmp_path / "mirror")
    asked = dataclasses.replace(settings, model=NAME)
    assert with_zoo_folders(asked) == asked


def test_name_that_is_nearly_the_zoos(settings):
    """A model that is nothing gets the nearest name of the zoo too."""
    with pytest.raises(SettingsError, match=f"did you mean .*{NAME}"):
        find_origin("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu", "")


def test_run_json_has_the_model_and_no_password():
    """What a run started from is in its provenance; a mirror's password is not."""
    settings = Settings(zoo_mirror="https://me:secret@mirror.example/tf2")
    made = provenance.collect(settings, {}, None, zoo_model={"name": NAME, "sha256": "12"})
    assert made["zoo_model"] == {"name": NAME, "sha256": "12"}
    assert made["settings"]["zoo_mirror"] == "https://mirror.example/tf2" and "secret" not in json.dumps(made)
