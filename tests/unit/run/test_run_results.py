"""What people want of a run, copied to where they reach it."""

import os

import pytest
from refusals import refused

from app.errors import SettingsError
from app.run import results
from app.run.directory import Run
from app.run.files import write_text


def make_run(root):
    run = Run(root / "r")
    write_text(run.report, "page")
    write_text(run.exports / "image_tensor" / "card.json", "{}")
    write_text(run.exports / ".frozen_graph-1" / "half", "x")
    write_text(run.best / "ckpt-5.index", "x")
    write_text(run.checkpoint(9).with_suffix(".index"), "x")
    return run


def test_what_is_copied(tmp_path):
    """Page, exports and best checkpoint; no other checkpoint, and nothing that is being written."""
    run, out = make_run(tmp_path / "models"), tmp_path / "out"
    results.check_folder(out)
    made = results.copy_results(run, out)
    assert made == out / "r"
    found = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    assert found == ["best/ckpt-5.index", "exports/image_tensor/card.json", "report.html"]


def test_a_former_copy_is_replaced_whole(tmp_path):
    """What the run has no longer is gone; nothing hidden stays."""
    run, out = make_run(tmp_path / "models"), tmp_path / "out"
    results.check_folder(out)
    results.copy_results(run, out)
    (out / "r" / "old").write_text("x")
    write_text(run.report, "newer")
    results.copy_results(run, out)
    assert (out / "r" / "report.html").read_text() == "newer"
    assert not (out / "r" / "old").exists()
    assert [path.name for path in out.iterdir()] == ["r"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_another(tmp_path):
    """Found before training, with the flag."""
    out = tmp_path / "out"
    out.mkdir(mode=0o555)
    with refused(SettingsError, where=str(out), flag="results_dir"):
        results.check_folder(out)


def test_a_folder_that_is_a_file(tmp_path):
    """Likewise."""
    (tmp_path / "out").write_text("")
    with refused(SettingsError, where="out", flag="results_dir"):
        results.check_folder(tmp_path / "out")
