"""Recognising formats."""

import os

import pytest

from app.dataset import formats
from app.errors import DatasetError

BOX = ("dog", 1, 1, 9, 9)


def test_auto_says_what_and_why(voc, tmp_path, coco):
    """The format is named together with what was found."""
    reader, reason = formats.choose(voc({"a": [BOX]}, {"train": ["a"]}))
    assert reader.NAME == "voc"
    assert "1 XML file" in reason and "Annotations/a.xml" in reason and "ImageSets" in reason
    coco(tmp_path / "c" / "train" / "_annotations.coco.json", {}, [], [])
    reader, reason = formats.choose(tmp_path / "c")
    assert reader.NAME == "coco"
    assert "train/_annotations.coco.json" in reason


def test_ambiguous_is_refused_until_named(voc, coco):
    """Two formats in one folder are no ground for a guess; naming one settles it."""
    root = voc({"a": [BOX]})
    coco(root / "all.json", {}, [], [])
    with pytest.raises(DatasetError, match=r"several formats.*voc.*coco.*--format") as caught:
        formats.choose(root)
    assert caught.value.exit_code == 4
    assert formats.choose(root, "coco")[0].NAME == "coco"


def test_unknown_names_the_candidates(tmp_path):
    """The error lists what can be read and what was found instead."""
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DatasetError, match=r"notes\.txt.*voc, coco, yolo, csv, pet, tfrecord"):
        formats.choose(tmp_path)
    with pytest.raises(DatasetError, match="no such file"):
        formats.choose(tmp_path / "nowhere")


def test_a_wrong_name_is_told(voc):
    """A format that is named but not there is refused, with what it looks like."""
    with pytest.raises(DatasetError, match="looks like voc"):
        formats.choose(voc({"a": [BOX]}), "coco")
    with pytest.raises(DatasetError, match="'tfds' is unknown"):
        formats.choose(voc({"a": [BOX]}), "tfds")


def test_a_folder_whose_name_is_no_utf8(tmp_path):
    """No pipeline.config could name it: refused, in a line that can be printed."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    with pytest.raises(DatasetError, match="no UTF-8") as caught:
        formats.choose(folder)
    str(caught.value).encode()
