"""`report` from the command line to its last line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import example_run
import pytest

from app.run.directory import Run
from app.run.files import read_json
from entrypoint.__main__ import run as detbox


@pytest.fixture
def models(tmp_path):
    for seed, name in enumerate(("one", "two"), start=1):
        example_run.write(tmp_path / "models" / name, seed=seed)
    return tmp_path / "models"


def test_a_run_gets_its_page(models, capsys):
    """In its folder; stdout says where, and what matters most."""
    assert detbox(["report", f"--models_dir={models}", "--run=one"]) == 0
    best = read_json(Run(models / "one").best_card)
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"one: step 200, completed, mAP {best['value']:.3f} at step {best['step']}"
    assert last.startswith(f"{models}/one/report.html (")
    assert (models / "one" / "report.html").stat().st_size > 10_000


def test_figures_for_programs(models, capsys):
    """--json has the page and the run's figures."""
    assert detbox(["report", "one", f"--models_dir={models}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == f"{models}/one/report.html"
    assert found["runs"][0]["best"] == read_json(Run(models / "one").best_card)["value"]
    assert found["runs"][0]["training_seconds"] == 100


@pytest.mark.parametrize("words", [["one", "two"], ["--compare=one,two"], ["one", "two", "one"]])
def test_several_runs_are_compared(models, capsys, words):
    """Beside the runs; one that is named twice counts once."""
    assert detbox(["report", *words, f"--models_dir={models}"]) == 0
    assert "2 runs compared" in (models / "comparison.html").read_text("utf-8")
    assert f"{models}/comparison.html" in capsys.readouterr().out
    assert not (models / "one" / "report.html").exists()


def test_runs_may_be_named_by_their_folders(models, monkeypatch):
    """A shell completes these, and they may lie under different models_dirs."""
    monkeypatch.chdir(models.parent)
    assert detbox(["report", "models/one/", "models/two"]) == 0
    assert (models.parent / "models" / "comparison.html").is_file()


def test_output_names_another_place(models, tmp_path):
    """A file, or a folder that gets the usual name."""
    assert detbox(["report", f"--models_dir={models}", "--run=one", f"--output={tmp_path}/page.html"]) == 0
    assert detbox(["report", f"--models_dir={models}", "--run=one", f"--output={tmp_path}/pages/"]) == 0
    assert (tmp_path / "page.html").is_file() and (tmp_path / "pages" / "report.html").is_file()
    assert not (models / "one" / "report.html").exists()


@pytest.mark.parametrize("words", [["three"], ["--run=three"], ["one", "three"]])
def test_a_run_that_is_not_there(models, capsys, words):
    """Exit code 3, in one line that names those that are."""
    assert detbox(["report", *words, f"--models_dir={models}"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert f"there is no run three in {models}" in line
    assert "there are: one, two" in line


def test_a_place_that_cannot_be_written(models, tmp_path, capsys):
    """Exit code 3, and the flag that helps."""
    (tmp_path / "file").write_text("")
    assert detbox(["report", f"--models_dir={models}", "--run=one", f"--output={tmp_path}/file/page.html"]) == 3
    assert "--output / DETBOX_OUTPUT" in capsys.readouterr().err


def test_the_metric_that_chose_is_not_asked_for_again(models, capsys):
    """Without --best_metric it is that of best.json; with it, that one."""
    best = Run(models / "one").best_card
    example_run.rewrite(best, metric="Loss/total_loss", direction="lower", value=1.25)
    assert detbox(["report", f"--models_dir={models}", "--run=one"]) == 0
    assert "total_loss 1.250 at step" in capsys.readouterr().out
    assert detbox(["report", f"--models_dir={models}", "--run=one", "--best_metric=DetectionBoxes_Recall/AR@100"]) == 0
    assert "AR@100 0." in capsys.readouterr().out


def test_a_report_needs_no_tensorflow(models):
    """It is written beside a training that needs the memory, and within a second or two."""
    program = (
        "import sys; from entrypoint.__main__ import run; code = run(sys.argv[1:]); "
        "print('heavy:', sorted({'tensorflow', 'object_detection', 'pycocotools', 'matplotlib'} & set(sys.modules))); "
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "report", f"--models_dir={models}", "--run=one"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("DETBOX_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert "heavy: []" in done.stdout
