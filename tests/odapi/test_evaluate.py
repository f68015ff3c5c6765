"""The evaluator on a checkpoint that was just trained."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import copy_of, detbox, place
from events import steps

from app import runs

pytestmark = pytest.mark.odapi
FAKE_DRIVER = """
#include <stdio.h>
#include <stdlib.h>
int cuInit(unsigned int flags) {
  FILE *file = fopen(getenv("FAKE_DRIVER_LOG"), "a");
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  fprintf(file, "%s\\n", visible ? visible : "all");
  fclose(file);
  return 100; /* CUDA_ERROR_NO_DEVICE */
}
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Path:
    """A folder with a `libcuda.so.1` that writes down which devices a process let it see."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "cuda.c").write_text(FAKE_DRIVER)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "libcuda.so.1", folder / "cuda.c"], check=True)
    return folder


@pytest.fixture(scope="module")
def trained(prepared, driver, tmp_path_factory) -> tuple[runs.Run, dict[str, str], Path]:
    """A run with checkpoints of steps 4, 8 and 10; variables that put the driver in place; its log of the trainer."""
    folder = tmp_path_factory.mktemp("trained")
    run = copy_of(prepared, folder / "small")
    paths = {"LD_LIBRARY_PATH": f"{driver}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
    seen = folder / "seen-by-trainer"
    flags = ["--checkpoint_every_n=4", "--num_train_steps=10", "--batch_size=2"]
    train = detbox("train", *place(run), *flags, **paths, FAKE_DRIVER_LOG=str(seen))
    assert train.returncode == 0, train.stderr
    return run, paths, seen


def test_a_checkpoint_may_go_once_it_is_evaluated(trained, tmp_path):
    """Retention deletes behind the evaluator: nothing of an earlier checkpoint is wanted for a later one."""
    from app.odapi import evaluation, runtime

    run = runs.Run(shutil.copytree(trained[0].root, tmp_path / "small"))
    runtime.start(use_gpu=False)

    def each():
        yield str(run.checkpoint(4))
        for path in run.root.glob("ckpt-4.*"):
            path.unlink()
        yield str(run.checkpoint(8))

    done = []
    evaluation.evaluate(run.pipeline_config, run.root, each(), lambda prefix, step, *_: done.append(step))
    assert done == [4, 8]


def test_each_checkpoint_is_evaluated_and_the_best_exported(trained, tmp_path):
    """The trainer may see every GPU, the evaluator none; each checkpoint is evaluated once, over every picture."""
    run, paths, seen = trained
    assert set(seen.read_text().split()) == {"all"}

    seen = tmp_path / "seen-by-evaluator"
    evaluate = detbox("evaluate", *place(run), "--export_when_done", **paths, FAKE_DRIVER_LOG=str(seen))
    assert evaluate.returncode == 0, evaluate.stderr
    assert not seen.exists() or set(seen.read_text().split()) == {"-1"}

    rows = runs.read_lines(run.evaluations)
    assert [row["step"] for row in rows] == [4, 8, 10]
    assert {(row["pictures"], row["expected"]) for row in rows} == {(6, 6)}
    assert all("DetectionBoxes_Precision/mAP" in row["metrics"] for row in rows)
    found = steps(run.eval_events)
    assert found["DetectionBoxes_Precision/mAP"] == [4, 8, 10]
    assert len(list(run.eval_events.rglob("events.out.tfevents.*"))) == 1
    assert runs.read_json(run.best_card)["step"] in (4, 8, 10)
    assert runs.read_json(run.status("evaluator"))["state"] == "done"

    export = run.exports / "image_tensor"
    card = runs.read_json(export / "card.json")
    assert (export / "saved_model" / "saved_model.pb").is_file() and (export / "label_map.pbtxt").is_file()
    assert card["step"] == runs.read_json(run.best_card)["step"]
    assert card["difference"]["same_classes"] and card["difference"]["score"] < 1e-3

    # An evaluator that has nothing to evaluate still promotes the best checkpoint, if that was not done.
    again = detbox("evaluate", *place(run), "--once", "--promote_threshold=-1")
    assert again.returncode == 0, again.stderr
    assert len(runs.read_lines(run.evaluations)) == 3
    serving = runs.serving(run.root.parent, run.name) / "1"
    assert (serving / "saved_model.pb").is_file()
    assert runs.read_json(serving / "card.json")["step"] == card["step"]
