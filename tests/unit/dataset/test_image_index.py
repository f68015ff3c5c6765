"""Which files belong to a set, and which image an annotation means."""

import os

import pytest
from refusals import refused

from app.dataset import image_index
from app.dataset.image_index import AmbiguousImage, ImageIndex
from app.errors import DatasetError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_what_is_no_file_of_the_set_is_passed_over(tmp_path):
    """Pipes (which would be waited on for ever), links to nowhere or themselves, folders named like files."""
    touch(tmp_path, "a.jpg", "sub/b.jpg", "lost+found/c.jpg", "__MACOSX/a.jpg", "._a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in image_index.walk(tmp_path)] == ["a.jpg", "b.jpg"]


def test_a_folder_that_can_not_be_opened_is_an_error(tmp_path, monkeypatch):
    """Its images would be missing without a word."""
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    touch(tmp_path, "a.jpg", "locked/b.jpg")
    monkeypatch.setattr(os, "scandir", locked)
    with refused(DatasetError, where="/locked", about="Permission"):
        image_index.walk(tmp_path)


def test_folders_that_mirror_each_other(tmp_path):
    """Of equal names the image in the folder called like the annotation's."""
    found = ImageIndex(touch(tmp_path, "img/left/1.jpg", "img/right/1.jpg", "xml/left/1.xml"))
    assert found.find("1", near=tmp_path / "xml" / "left") == tmp_path / "img" / "left" / "1.jpg"
    with pytest.raises(AmbiguousImage):
        found.find("1", near=tmp_path / "xml")


@pytest.mark.parametrize("name", ["a.b.c", "x.jpg", "back\\slash", "br[a]cket", "new\nline", "100%", "trail "])
def test_any_stem_is_found(tmp_path, name):
    """Dots, blanks, backslashes and characters of patterns in a stem stand for themselves."""
    found = ImageIndex(touch(tmp_path, f"{name}.jpg", "other.jpg"))
    assert found.find(name, near=tmp_path) == tmp_path / f"{name}.jpg"
    if "\\" not in name:  # In a path that a file states, Windows' separator.
        assert found.find(f"{name}.jpg", near=tmp_path) == tmp_path / f"{name}.jpg"


def test_a_name_that_is_no_utf8(tmp_path):
    """Its name in records and JSON has U+FFFD for what can't be written."""
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    assert ImageIndex(touch(tmp_path, path.name)).name(path) == "caf\ufffd.jpg"
