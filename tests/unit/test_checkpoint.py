"""Which checkpoint a command works on."""

import json

import pytest
from refusals import refused

from app.checkpoint import bytes_of, resolve_checkpoint
from app.errors import DetboxError, SettingsError
from app.run.directory import Run
from app.run.files import append_line, write_json


@pytest.fixture
def run(tmp_path) -> Run:
    """A run with checkpoints of steps 10 and 20, both evaluated, and the best of step 5, which retention has taken."""
    run = Run(tmp_path / "r")
    run.best.mkdir(parents=True)
    for prefix in (run.checkpoint(10), run.checkpoint(20), run.best / "ckpt-5"):
        prefix.with_name(prefix.name + ".index").touch()
    for folder in (run.root, run.best):
        (folder / "pipeline.config").touch()
        (folder / "label_map.pbtxt").touch()
    run.best_card.write_text(json.dumps({"step": 5, "checkpoint": "ckpt-5", "metrics": {"m": 0.5}}))
    for step in (5, 10, 20):
        append_line(run.evaluations, {"step": step, "metrics": {"m": step / 100}})
    return run


@pytest.mark.parametrize(
    ("wanted", "step", "metric"), [("best", 5, 0.5), ("newest", 20, 0.2), ("10", 10, 0.1), ("5", 5, 0.5)]
)
def test_a_word_or_a_step_is_of_the_run(run, wanted, step, metric):
    """With the metrics of its evaluation."""
    found = resolve_checkpoint(run, wanted)
    assert (found.step, found.metrics["m"], found.run) == (step, metric, run)
    assert found.prefix.with_name(found.prefix.name + ".index").is_file()


@pytest.mark.parametrize(("path", "step"), [("ckpt-20", 20), ("ckpt-10.index", 10), ("best", 5), ("best/ckpt-5", 5)])
def test_a_path_into_the_run_is_of_the_run(run, path, step):
    """What is known of the checkpoint does not depend on how it is named."""
    assert resolve_checkpoint(run, str(run.root / path)).step == step


def test_a_folder_of_the_zoo_is_a_checkpoint_of_no_run(run, tmp_path):
    """With the pipeline.config above it, and no label map."""
    folder = tmp_path / "zoo" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "ckpt-0.index").touch()
    (folder.parent / "pipeline.config").touch()
    found = resolve_checkpoint(run, str(folder.parent))
    assert (found.prefix, found.run, found.step) == (folder / "ckpt-0", None, None)
    assert (found.pipeline_config, found.label_map) == (folder.parent / "pipeline.config", None)


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [("30", DetboxError, "10, 20"), ("/nowhere", SettingsError, "no checkpoint"), ("ROOT", SettingsError, "name one")],
)
def test_what_is_not_there_is_told(run, wanted, error, words):
    """With what is."""
    with pytest.raises(error, match=words):
        resolve_checkpoint(run, str(run.root) if wanted == "ROOT" else wanted)


def test_a_run_without_an_evaluation_has_no_best(tmp_path):
    """Nor a newest without a checkpoint."""
    with refused(DetboxError, flag="--once", about="evaluate"):
        resolve_checkpoint(Run(tmp_path), "best")
    with pytest.raises(DetboxError, match="no checkpoint yet"):
        resolve_checkpoint(Run(tmp_path), "newest")


def test_a_copy_is_the_same_checkpoint(run, tmp_path):
    """Files, sidecar files and the state file are copied; step, run and metrics stay; so they do by the copy's path."""
    (run.root / "ckpt-20.data-00000-of-00001").write_text("weights")
    copied = resolve_checkpoint(run, "20").copy_to(tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "checkpoint", "ckpt-20.data-00000-of-00001", "ckpt-20.index", "label_map.pbtxt", "pipeline.config"
    ]  # fmt: skip
    assert (copied.prefix, copied.run, copied.step) == (tmp_path / "copy" / "ckpt-20", run, 20)
    assert copied.pipeline_config == tmp_path / "copy" / "pipeline.config" and copied.metrics == {"m": 0.2}
    assert bytes_of(copied.prefix) == len("weights")


def test_an_archived_checkpoint_is_of_the_run(run):
    """What was promoted once is known by the card beside it."""
    archive = run.promoted("served", 1)
    archive.parent.mkdir(parents=True)
    resolve_checkpoint(run, "10").copy_to(archive)
    write_json(archive / "card.json", {"step": 10, "metrics": {"m": 0.1}})
    found = resolve_checkpoint(run, str(archive))
    assert (found.run, found.step, found.metrics) == (run, 10, {"m": 0.1})
