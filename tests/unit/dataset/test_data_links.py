"""Symbolic links of a data set: those within it are followed, those out of it when asked."""

import logging
import shutil

import pytest
from refusals import refused

from app.dataset.preparation import prepare
from app.errors import DatasetError

DOG = ("dog", 8, 6, 40, 30)


@pytest.fixture
def linked(voc, tmp_path):
    """`linked(which)`: a set of eight images whose `which` lie elsewhere, with links to them; and all its names."""

    def make(which):
        root = voc({f"p{n}": [DOG] for n in range(8)}, {"train": [f"p{n}" for n in range(6)], "val": ["p6", "p7"]})
        (tmp_path / "elsewhere").mkdir()
        for path in sorted(root.glob(which)):
            shutil.move(path, tmp_path / "elsewhere" / path.name)
            path.symlink_to(tmp_path / "elsewhere" / path.name)
        return root

    return make


def test_a_link_out_of_the_set_is_left_out_and_said(linked, tmp_path, caplog):
    """In one line with their number, an example and the flag; with the flag they are read, without a word."""
    root = linked("JPEGImages/p[12].jpg")
    with caplog.at_level(logging.WARNING):
        assert prepare(root, tmp_path / "records").train.images == 4
    said = [line for line in caplog.messages if "--follow_links" in line]
    assert len(said) == 1 and "2 links" in said[0] and "p1.jpg to " in said[0]
    caplog.clear()
    assert prepare(root, tmp_path / "records", follow_links=True).train.images == 6
    assert not [line for line in caplog.messages if "link" in line]


@pytest.mark.parametrize("which", ["JPEGImages/*.jpg", "JPEGImages", "Annotations", "*"])
def test_a_set_of_links_out_of_it_is_refused_with_the_flag(linked, tmp_path, which):
    """Single files or whole folders; with the flag it is read."""
    root = linked(which)
    with refused(DatasetError, flag="--follow_links", about="link"):
        prepare(root, tmp_path / "records")
    assert prepare(root, tmp_path / "records", follow_links=True).train.images == 6


def test_links_within_the_set_are_followed(linked, tmp_path, caplog):
    """From one folder to another, and where the set is named by a link itself."""
    root = linked("JPEGImages/*")
    shutil.move(tmp_path / "elsewhere", root / "store")
    for path in (root / "JPEGImages").iterdir():
        (root / "store" / path.name).rename(root / "store" / f"original-{path.name}")
        path.unlink()
        path.symlink_to(f"../store/original-{path.name}")
    (tmp_path / "alias").symlink_to(root)
    card = prepare(tmp_path / "alias", tmp_path / "records")
    assert (card.train.images, card.eval.images) == (6, 2)
    assert "follow_links" not in caplog.text


def test_a_link_to_the_root_of_the_machine_is_not_walked(linked, tmp_path, caplog):
    """Nor is one to nowhere counted."""
    root = linked("none")
    (root / "JPEGImages" / "all").symlink_to("/")
    (root / "JPEGImages" / "gone.jpg").symlink_to(tmp_path / "gone.jpg")
    with caplog.at_level(logging.WARNING):
        assert prepare(root, tmp_path / "records").train.images == 6
    assert "1 link out" in caplog.text
