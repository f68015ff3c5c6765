"""Where a pipeline comes from."""

import shutil

import pytest
from refusals import refused

from app.errors import SettingsError
from app.pipeline import origin

PRESETS = [
    "centernet_resnet50_fpn",
    "efficientdet_d0",
    "faster_rcnn_resnet101",
    "faster_rcnn_resnet50",
    "ssd_mobilenet_v2_fpnlite_320",
    "ssd_mobilenet_v2_fpnlite_640",
    "ssd_resnet50_fpn_640",
    "tiny",
]


def test_presets():
    """The presets' names are part of the interface."""
    assert origin.presets() == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds(make, name):
    """Every preset becomes a pipeline with the set's number of classes and no path left open."""
    pipeline = make(model=name)
    assert pipeline.origin == f"preset {name}"
    assert "num_classes: 3\n" in pipeline.text and "PATH_TO_BE" not in pipeline.text
    assert "+    num_classes: 3" in pipeline.diff


def test_default_is_tiny(make):
    """Without a model and a checkpoint the preset for CPUs is taken."""
    assert make().origin == "preset tiny"


def test_own_config_of_checkpoint(make, hands):
    """A checkpoint without a model brings its own pipeline.config."""
    pipeline = make(fine_tune_checkpoint=str(hands))
    assert pipeline.origin == str(hands / "pipeline.config")
    assert "-    num_classes: 7\n+    num_classes: 3\n" in pipeline.diff


def test_model_wins_over_checkpoints_config(make, hands):
    """A named model is taken, whatever lies beside the checkpoint."""
    assert make(model="ssd_mobilenet_v2_fpnlite_320", fine_tune_checkpoint=str(hands)).origin.startswith("preset ")


def test_diff_is_of_values_only(make, hands):
    """The diff shows what was changed, not how the numbers are written."""
    changed = [line for line in make(fine_tune_checkpoint=str(hands)).diff.splitlines() if line.startswith("-")]
    assert changed[0].startswith("--- ") and not any("weight:" in line for line in changed)


@pytest.mark.parametrize("form", ["", "/", "/checkpoint", "/checkpoint/ckpt-0", "/checkpoint/ckpt-0.index"])
def test_forms_of_a_checkpoint(hands, form):
    """The zoo's folder, its checkpoint folder, and a prefix all mean the same checkpoint."""
    assert origin.checkpoint_prefix(f"{hands}{form}") == f"{hands}/checkpoint/ckpt-0"
    assert origin.config_beside(f"{hands}{form}") == hands / "pipeline.config"


def test_prefix_is_not_resolved(hands, tmp_path, monkeypatch):
    """A relative path stays one: the file is read in another container."""
    (tmp_path / "zoo").symlink_to(hands)
    monkeypatch.chdir(tmp_path)
    assert origin.checkpoint_prefix("zoo") == "zoo/checkpoint/ckpt-0"


def test_newest_checkpoint_by_number(tmp_path):
    """Of a run's own checkpoints the highest step is the newest: 1000 before 999."""
    for name in ("ckpt-999.index", "ckpt-1000.index", "ckpt-1000.data-00000-of-00001"):
        (tmp_path / name).touch()
    assert origin.checkpoint_prefix(str(tmp_path)) == f"{tmp_path}/ckpt-1000"


def test_no_checkpoint(make, tmp_path):
    """A path that holds no checkpoint is named, with the flag that set it."""
    with refused(SettingsError, flag="--fine_tune_checkpoint", about="2 checkpoint") as caught:
        make(fine_tune_checkpoint=str(tmp_path))
    assert caught.value.exit_code == 3 and str(caught.value).startswith(str(tmp_path))


def test_checkpoint_without_config(make, hands, tmp_path):
    """Weights of an unknown model need a model named, rather than getting `tiny`."""
    shutil.copytree(hands / "checkpoint", tmp_path / "checkpoint")
    with refused(SettingsError, flag="--model", about="model"):
        make(fine_tune_checkpoint=str(tmp_path))


@pytest.mark.parametrize(("name", "hint"), [("efficientdet_d1", "did you mean efficientdet_d0"), ("?", "presets: ")])
def test_unknown_model(make, name, hint):
    """A model that is neither preset nor file gets the nearest preset, or all of them."""
    with pytest.raises(SettingsError, match=hint):
        make(model=name)


def test_broken_config(make, tmp_path):
    """A pipeline.config that does not parse is named with its line; the folder that holds it will do."""
    (tmp_path / "pipeline.config").write_text("model {\n  ssd {\n    colour: 3\n  }\n}\n")
    with refused(SettingsError, where="/pipeline.config:3", about="parse"):
        make(model=str(tmp_path))


def test_unknown_meta_architecture(make, tmp_path):
    """A config without a model says so."""
    (tmp_path / "a.config").write_text("train_config { batch_size: 2 }")
    with refused(SettingsError, where="/a.config", flag="--model", about="model"):
        make(model=str(tmp_path / "a.config"))


def test_no_weights_on_request(make, hands, write_model):
    """`none` takes a model's own checkpoint away, and no pipeline.config is looked for beside it."""
    model = write_model("tiny", f'train_config {{ fine_tune_checkpoint: "{hands}/checkpoint/ckpt-0" }}')
    assert make(model=model).fine_tune_checkpoint == f"{hands}/checkpoint/ckpt-0"
    assert make(model=model, fine_tune_checkpoint="none").fine_tune_checkpoint == ""
    assert make(fine_tune_checkpoint="none").origin == "preset tiny"


def test_windows_editors_mark(make, tmp_path):
    """A pipeline.config with a byte order mark is read; one in another encoding is refused in a line."""
    path = tmp_path / "pipeline.config"
    path.write_bytes(origin.preset_text("tiny").encode("utf-8-sig"))
    assert origin.find_origin(str(path), "").config == origin.find_origin("tiny", "").config
    path.write_bytes(origin.preset_text("tiny").encode("utf-16"))
    with refused(SettingsError, where="/pipeline.config", flag="--model", about="UTF-8"):
        origin.find_origin(str(path), "")


def test_a_config_that_can_not_be_opened(tmp_path, monkeypatch):
    """It is the config that is to be permitted, not the run's folder."""

    def refuse(*arguments, **more):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "pipeline.config"
    path.write_text("")
    monkeypatch.setattr(origin.Path, "read_bytes", refuse)
    with refused(SettingsError, where="/pipeline.config", flag="--model", about="Permission"):
        origin.find_origin(str(path), "")
