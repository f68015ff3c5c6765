"""What killed processes left between a run's checkpoints."""

import os
import subprocess
import sys

import pytest

from app.run.directory import Run
from app.run.leftovers import clear_leftovers


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def living():
    """A process that is alive."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child.pid
    child.stdin.close()
    child.wait()


def dead():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def begin_save(run, step, pid, age=0.0):
    folder = run.root / f".saving-{step}-{pid}"
    folder.mkdir()
    (folder / f"ckpt-{step}.data-00000-of-00001").write_bytes(b"x" * 100)
    now = folder.stat().st_mtime - age
    os.utime(folder, (now, now))
    return folder


def left(run):
    return sorted(path.name for path in run.root.iterdir())


def test_saves_that_were_cut_short_are_removed(run):
    """Of processes that are gone, and of this one's number: in a container each trainer has the same."""
    begin_save(run, 10, dead())
    begin_save(run, 20, os.getpid())
    (run.root / f".checkpoint-{dead()}").write_bytes(b"x" * 10)
    assert clear_leftovers(run) == (3, 210)
    assert left(run) == []


def test_data_without_an_index_is_removed(run):
    """A save moves the index last, and retention removes it first. Whole checkpoints and other files stay."""
    for name in ("ckpt-10.data-00000-of-00001", "ckpt-20.data-00000-of-00001", "ckpt-20.index", "notes.data-1"):
        (run.root / name).write_bytes(b"x" * 7)
    (run.root / ".saving-notes").mkdir()
    assert clear_leftovers(run) == (1, 7)
    assert left(run) == [".saving-notes", "ckpt-20.data-00000-of-00001", "ckpt-20.index", "notes.data-1"]


def test_a_save_of_a_living_process_stays(run, living):
    """With what it has moved already. A folder older than the process is another's, of the same number."""
    begin_save(run, 10, living)
    (run.root / "ckpt-10.data-00000-of-00001").touch()
    begin_save(run, 20, dead())
    assert clear_leftovers(run) == (1, 100)
    assert left(run) == [f".saving-10-{living}", "ckpt-10.data-00000-of-00001"]
    os.utime(run.root / f".saving-10-{living}", (1, 1))
    assert clear_leftovers(run) == (2, 100)
    assert left(run) == []


def test_small_files_that_got_no_name_are_removed(run):
    """A kill in the middle of a write leaves them, however seldom; young ones may be a moment from their name."""
    names = (
        "status/.trainer.json.abcd12_x",
        "evaluations/.20.json.abcdefgh",
        ".DONE.abcdefgh",
        ".hidden",
        ".young.abcdefgh",
    )
    for path in map(run.root.joinpath, names):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 5)
        if "young" not in path.name:
            os.utime(path, (path.stat().st_mtime - 100,) * 2)
    assert clear_leftovers(run) == (3, 15)
    assert left(run) == [".hidden", ".young.abcdefgh", "evaluations", "status"]
    assert not [*run.status_dir.iterdir(), *(run.root / "evaluations").iterdir()]
