"""Bad input to `prepare` ends in one line, with the right exit code and nothing half-written."""

import glob
import json
import re

import pytest
from PIL import Image

from entrypoint.__main__ import run as detbox


@pytest.fixture
def dataset(tmp_path):
    """A COCO set of four images with a box each."""
    folder = tmp_path / "set"
    folder.mkdir()
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 32, "height": 24} for n in range(4)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [4, 4, 12, 10], "area": 120} for n in range(4)]
    for image in images:
        Image.new("RGB", (32, 24), (image["id"] * 40, 90, 30)).save(folder / image["file_name"])
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "_annotations.coco.json").write_text(json.dumps(coco))
    return folder


@pytest.fixture
def prepare(tmp_path, dataset, capsys):
    """Runs `prepare`; gives exit code, last line of stderr, and the run's folder."""

    def run(*flags, models=None, source=dataset):
        root = models or tmp_path / "models"
        code = detbox(["prepare", f"--models_dir={root}", "--run=r", f"--dataset={source}", *flags])
        return code, capsys.readouterr().err.strip().splitlines()[-1], root / "r"

    return run


def test_good_input_is_prepared(prepare):
    """The fixture is a data set that is accepted, so that each refusal below is for its own reason."""
    code, _, run = prepare()
    assert code == 0
    assert (run / "pipeline.config").is_file()


def test_a_models_dir_named_like_a_pattern(prepare, tmp_path):
    """Brackets and stars in a folder's name stand for themselves in the globs of the pipeline.config."""
    code, _, run = prepare(models=tmp_path / "models [v1] *")
    assert code == 0
    (pattern,) = re.findall(r'input_path: "(.*train.*)"', (run / "pipeline.config").read_text())
    assert len(glob.glob(pattern)) == len(list((run / "records").glob("train-*"))) > 0


def config_file(tmp_path, text):
    path = tmp_path / "pipeline.config"
    path.write_text(text)
    return f"--model={path}"


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--model=no-such"], 3, "no-such"),
        (["--config_override=model { ssd { num_classes: 7 } }"], 3, "num_classes"),
        (["--config_override=model { nonsense: 1 }"], 3, "config_override"),
        (["--fine_tune_checkpoint=nowhere", "--model=tiny"], 3, "--fine_tune_checkpoint"),
        (["--train_split=none-such"], 4, "none-such"),
        (["--format=voc"], 4, "voc"),
    ],
)
def test_settings_that_can_not_be_met(prepare, flags, code, words):
    """Each is refused with what, where and remedy, and no pipeline.config is left behind."""
    got, line, run = prepare(*flags)
    assert got == code, line
    assert line.startswith("detbox: error: ") and words in line and "->" in line
    assert not (run / "pipeline.config").exists()


def test_a_config_that_does_not_parse(prepare, tmp_path):
    """File and line of the fault are named."""
    code, line, run = prepare(config_file(tmp_path, "model {\n  ssd {\n    num_classes: many\n"))
    assert code == 3
    assert "pipeline.config:3" in line
    assert not run.exists() or not (run / "pipeline.config").exists()


def test_an_empty_set(prepare, tmp_path):
    """A folder with nothing in it is no data set, and the run's folder is not left behind."""
    (tmp_path / "empty").mkdir()
    code, line, run = prepare(source=tmp_path / "empty")
    assert (code, run.exists()) == (4, False), line
    assert "->" in line


def test_a_set_without_boxes(prepare, dataset):
    """There is nothing to learn from images without a box."""
    path = dataset / "_annotations.coco.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    code, line, run = prepare()
    assert (code, run.exists()) == (4, False), line


def test_a_models_dir_that_can_not_be_written(prepare, tmp_path):
    """A file where the folder should be (what a test can make as any user) is told with the setting."""
    (tmp_path / "file").write_text("")
    code, line, _ = prepare(models=tmp_path / "file")
    assert code == 3
    assert "DETBOX_MODELS_DIR" in line


def test_a_full_disk(prepare, monkeypatch):
    """Running out of space is told as such, and records that are not whole have no final name."""
    from app.dataset import records

    def full(file, data):
        raise OSError(28, "No space left on device", "records")

    monkeypatch.setattr(records, "append", full)
    code, line, run = prepare()
    assert code in (3, 4), line
    assert "space" in line
    assert not (run / "records").exists()


@pytest.mark.parametrize("setting", ["models_dir", "model", "fine_tune_checkpoint"])
def test_a_path_that_is_no_utf_8(prepare, tmp_path, setting):
    """A pipeline.config can't hold it: that is told with the setting before anything is written."""
    path = tmp_path / "a\udcff"
    code, line, _ = prepare(models=path) if setting == "models_dir" else prepare(f"--{setting}={path}")
    assert (code, path.exists()) == (3, False), line
    assert f"DETBOX_{setting.upper()}" in line and line.isascii()
