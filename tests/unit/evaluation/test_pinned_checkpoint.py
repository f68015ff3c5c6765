"""The evaluator's own links to a checkpoint."""

import os

import pytest

from app.evaluation import pinned_checkpoint
from app.run.directory import Run


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path)
    for end in ("data-00000-of-00001", "index"):
        (made.root / f"ckpt-10.{end}").write_text(end)
    return made


def names(run):
    return sorted(path.name for path in run.pinned_checkpoint.iterdir())


def test_what_was_taken_outlives_the_trainers(run):
    """Retention deletes its files, and ours stay whole until they are let go."""
    prefix = pinned_checkpoint.pin_checkpoint(run, 10)
    for path in run.root.glob("ckpt-10.*"):
        path.unlink()
    assert (prefix.parent / "ckpt-10.index").read_text() == "index"
    assert names(run) == ["ckpt-10.data-00000-of-00001", "ckpt-10.index"]
    pinned_checkpoint.unpin_checkpoint(run)
    assert not run.pinned_checkpoint.exists()


def test_files_are_copied_where_there_are_no_links(run, monkeypatch):
    """Some network file systems have none."""

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert (pinned_checkpoint.pin_checkpoint(run, 10).parent / "ckpt-10.index").read_text() == "index"


def test_a_checkpoint_that_goes_meanwhile_is_none(run):
    """The index goes first: data alone is not taken for a checkpoint."""
    (run.root / "ckpt-10.index").unlink()
    assert pinned_checkpoint.pin_checkpoint(run, 10) is None
    assert not run.pinned_checkpoint.exists()


def test_leftovers_of_a_killed_evaluator_go(run):
    """What is taken next is alone in the folder."""
    pinned_checkpoint.pin_checkpoint(run, 10)
    (run.root / "ckpt-20.index").touch()
    pinned_checkpoint.pin_checkpoint(run, 20)
    assert names(run) == ["ckpt-20.index"]
