"""The evaluator on a checkpoint that was just trained."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, copy_of, detbox, environment, place
from events import steps
from voc_precision import Scored, measure

from app.dataset import card as cards
from app.dataset import records
from app.run.directory import Run, serving_dir
from app.run.files import read_json, read_lines

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
def trained(prepared, driver, tmp_path_factory) -> tuple[Run, dict[str, str], Path]:
    """A run with checkpoints of steps 4, 8 and 10; variables that put the driver in place; its log of the trainer."""
    folder = tmp_path_factory.mktemp("trained")
    run = copy_of(prepared, folder / "small")
    paths = {"LD_LIBRARY_PATH": f"{driver}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
    seen = folder / "seen-by-trainer"
    flags = ["--checkpoint_every_n=4", "--num_train_steps=10", "--batch_size=2"]
    train = detbox("train", *place(run), *flags, **paths, FAKE_DRIVER_LOG=str(seen))
    assert train.returncode == 0, train.stderr
    return run, paths, seen


@pytest.fixture(scope="module")
def evaluator(trained, tmp_path_factory):
    """A copy of the trained run, and the evaluator of its images."""
    from app.odapi import runtime

    runtime.start(use_gpu=False)
    # After the start, which imports `object_detection` before TensorFlow.
    from app.odapi.evaluator import Evaluator

    run = copy_of(trained[0], tmp_path_factory.mktemp("evaluated") / "small")
    return run, Evaluator(run.pipeline_config)


def test_a_checkpoint_may_go_once_it_is_evaluated(evaluator):
    """Retention deletes behind the evaluator: nothing of an earlier checkpoint is wanted for a later one."""
    run, model = evaluator
    first = model.evaluate(run.checkpoint(4))
    for path in run.root.glob("ckpt-4.*"):
        path.unlink()
    assert [first.step, model.evaluate(run.checkpoint(8)).step] == [4, 8]
    assert len(model._traced) == 1


def test_figures_equal_those_of_upstreams_own_loop(evaluator, tmp_path):
    """Every metric that upstream has, of one checkpoint, by a tree without the seam and by ours: to 1e-6."""
    run, model = evaluator
    for path in run.root.glob("ckpt-8.*"):
        path.unlink()
    pretend_it_can_detect(run, model.evaluate(run.checkpoint(10)).images)
    ours = model.evaluate(run.checkpoint(10)).metrics

    tree = tmp_path / "without-seam"
    backend = ROOT / "third_party" / "object_detection" / "backend.py"
    subprocess.run([sys.executable, str(backend), "unpack", str(tree), "--without-seam"], check=True, timeout=600)
    script = Path(__file__).with_name("timed_evaluation.py")
    result = subprocess.run(
        [sys.executable, str(script), str(run.root), str(tree)],
        env=environment(), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    theirs = json.loads(result.stdout.splitlines()[-1])["10"][2]
    assert 0.05 < theirs["DetectionBoxes_Precision/mAP"] < 0.95
    assert len(theirs) >= 15
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=1e-6), name


def test_metrics_sets_are_right_on_a_run(evaluator):
    """Groundtruth comes padded from upstream's input: PASCAL's and Open Images' figures are those of the records."""
    from app.odapi.evaluator import Evaluator

    run, model = evaluator
    sets = ("pascal_voc", "weighted_pascal_voc", "oid_V2", "oid_challenge")
    names = " ".join(f'metrics_set: "{name}_detection_metrics"' for name in sets)
    found = Evaluator(run.pipeline_config, config_override=f"eval_config {{ {names} }}").evaluate(run.checkpoint(10))
    truth = {}
    for row in records.read(sorted(run.records.glob(cards.read(run.records).eval.records))):
        size = [row[f"image/{side}"][0] for side in ("height", "width")]
        corners = np.array([row[f"image/object/bbox/{side}"] for side in ("ymin", "xmin", "ymax", "xmax")]).T
        classes = np.array(row["image/object/class/label"], int)
        truth[row["image/source_id"][0].decode()] = corners.reshape(-1, 4) * [*size, *size], classes
    images = [
        Scored(*truth[image.name], image.boxes.astype(float), image.classes, image.scores) for image in found.images
    ]
    # Ten steps give many detections one score, and who is first of these is anyone's.
    least, most = (wanted_figures(measure(images, list(model.classes), ties=ties), model.classes) for ties in (1, -1))
    assert 0.05 < least["PascalBoxes_Precision/mAP@0.5IOU"] < 0.95
    for name, value in least.items():
        if math.isnan(value):
            assert math.isnan(found.metrics[name]), name
        else:
            assert value - 0.005 <= found.metrics[name] <= most[name] + 0.005, name


def wanted_figures(measured, classes) -> dict[str, float]:
    each, mean, together = measured
    return {
        "PascalBoxes_Precision/mAP@0.5IOU": mean,
        "WeightedPascalBoxes_Precision/mAP@0.5IOU": together,
        "OpenImagesV2_Precision/mAP@0.5IOU": mean,
        "OpenImagesDetectionChallenge_Precision/mAP@0.5IOU": mean,
        **{f"PascalBoxes_PerformanceByCategory/AP@0.5IOU/{classes[at]}": value for at, value in each.items()},
    }


def pretend_it_can_detect(run, images):
    """Makes some of what the model found the groundtruth of the records, moved a little: ten steps teach it nothing."""
    import tensorflow as tf

    found = {image.name: image for image in images}
    (path,) = run.records.glob(cards.read(run.records).eval.records)
    examples = [tf.train.Example.FromString(data) for data in records.read_raw(path)]
    random = np.random.default_rng(5)
    with open(path, "wb") as file:
        for example in examples:
            feature = example.features.feature
            image = found[feature["image/source_id"].bytes_list.value[0].decode()]
            size = [feature[f"image/{side}"].int64_list.value[0] for side in ("height", "width")]
            boxes = image.boxes[::7] / np.array([*size, *size])
            boxes = np.clip(boxes + random.normal(0, 0.01, boxes.shape), 0, 1)
            kept = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) > 0.02
            for column, side in enumerate(("ymin", "xmin", "ymax", "xmax")):
                feature[f"image/object/bbox/{side}"].float_list.value[:] = boxes[kept, column]
            feature["image/object/class/label"].int64_list.value[:] = image.classes[::7][kept]
            for name in ("is_crowd", "difficult", "truncated", "group_of"):
                feature[f"image/object/{name}"].int64_list.value[:] = [0] * int(kept.sum())
            for name in ("class/text", "area"):
                del feature[f"image/object/{name}"]
            records.append(file, example.SerializeToString())


def test_each_checkpoint_is_evaluated_and_the_best_exported(trained, tmp_path):
    """The trainer may see every GPU, the evaluator none; each checkpoint is evaluated once, over every image."""
    run, paths, seen = trained
    assert set(seen.read_text().split()) == {"all"}

    seen = tmp_path / "seen-by-evaluator"
    flags = ["--export_when_done", "--eval_image_outputs=1"]
    evaluate = detbox("evaluate", *place(run), *flags, **paths, FAKE_DRIVER_LOG=str(seen))
    assert evaluate.returncode == 0, evaluate.stderr
    assert not seen.exists() or set(seen.read_text().split()) == {"-1"}

    rows = read_lines(run.evaluations)
    assert [row["step"] for row in rows] == [4, 8, 10]
    assert {(row["images"], row["expected"]) for row in rows} == {(6, 6)}
    classes = cards.read(run.records).classes
    for row in rows:
        assert {"DetectionBoxes_Precision/mAP", "Loss/total_loss"} <= set(row["metrics"])
        details = read_json(run.evaluation_details(row["step"]))
        assert [each["name"] for each in details["classes"]] == list(classes)
        assert sum(map(sum, details["confusion"]["matrix"][:-1])) == cards.read(run.records).eval.boxes
    assert "Train/total_loss" in rows[-1]["metrics"]
    found = steps(run.eval_events)
    shown = ["DetectionBoxes_Precision/mAP", "eval_confusion_matrix", "eval_precision_recall", "eval_side_by_side_0"]
    assert {tag: found[tag] for tag in shown} == {tag: [4, 8, 10] for tag in shown}
    assert f"DetectionBoxes_PerformanceByCategory/mAP/{classes[0]}" in found
    assert "eval_side_by_side_1" not in found
    assert len(list(run.eval_events.rglob("events.out.tfevents.*"))) == 1
    best = read_json(run.best_card)
    assert best["details"] == read_json(run.evaluation_details(best["step"]))
    drawn = read_json(run.detections_index)
    assert [row["kind"] for row in drawn] == ["worst"] * 3 + ["best"] * 3
    assert all((run.detections / row["file"]).is_file() for row in drawn)
    assert read_json(run.status("evaluator"))["state"] == "done"

    export = run.exports / "image_tensor"
    card = read_json(export / "card.json")
    assert (export / "saved_model" / "saved_model.pb").is_file() and (export / "label_map.pbtxt").is_file()
    assert card["step"] == read_json(run.best_card)["step"]
    assert card["parity"]["unmatched"] == 0 and card["parity"]["score"] < 1e-3

    # An evaluator that has nothing to evaluate still promotes the best checkpoint, if that was not done.
    again = detbox("evaluate", *place(run), "--once", "--promote_threshold=-1")
    assert again.returncode == 0, again.stderr
    assert len(read_lines(run.evaluations)) == 3
    serving = serving_dir(run.root.parent, run.name) / "1"
    assert (serving / "saved_model.pb").is_file()
    assert read_json(serving / "card.json")["step"] == card["step"]
