"""What a path stands for, before anything is loaded."""

import json
from pathlib import Path

import pytest

from app.detection.loader import CARD, model_of
from app.errors import SettingsError


def make(folder: Path, *names: str) -> Path:
    """`folder` with empty files of these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("files", "given", "found"),
    [
        (["saved_model.pb"], "", ""),
        (["saved_model/saved_model.pb", "checkpoint/checkpoint"], "", "saved_model"),
        (["saved_model/saved_model.pb"], "saved_model/saved_model.pb", "saved_model"),
        (["frozen_inference_graph.pb"], "frozen_inference_graph.pb", "frozen_inference_graph.pb"),
        (["a.tflite"], "a.tflite", "a.tflite"),
        (["a.onnx"], "a.onnx", "a.onnx"),
    ],
)
def test_a_path_leads_to_its_model(tmp_path, files, given, found):
    """A SavedModel's folder, the zoo's layout, or the one file."""
    assert model_of(make(tmp_path, *files) / given) == tmp_path / found


def test_a_card_names_the_model_of_an_export(tmp_path):
    """Whatever else is in the folder."""
    make(tmp_path, "model.tflite", "labelmap.txt")
    (tmp_path / CARD).write_text(json.dumps({"model": "model.tflite"}))
    assert model_of(tmp_path) == tmp_path / "model.tflite"


@pytest.mark.parametrize("given", ["", "absent.pb", "label_map.txt"])
def test_what_is_no_detector_is_refused(tmp_path, given):
    """With what would be one."""
    make(tmp_path, "label_map.txt")
    with pytest.raises(SettingsError, match="frozen graph"):
        model_of(tmp_path / given)
