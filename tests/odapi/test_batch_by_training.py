"""`batch_size=auto` with a real model: what it chooses trains, and half as much again does not."""

import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, environment

from app.pipeline import batch_size_record
from app.pipeline.build import Request, build
from app.run.directory import Run

pytestmark = pytest.mark.odapi
BYTES = 4_000_000_000
"""TensorFlow itself takes a third of it, an image a twelfth."""
SMALL = ["--sample_images=40", "--image_size=640", "--num_train_steps=2", "--augmentations=none"]


def limited(*arguments: str) -> subprocess.CompletedProcess:
    """`detbox ARGUMENTS` with `BYTES` of memory."""
    script = Path(__file__).with_name("find_batch.py")
    return subprocess.run(
        [sys.executable, str(script), str(BYTES), *arguments],
        cwd=ROOT, env=environment(PYTHONPATH=str(ROOT), NVIDIA_VISIBLE_DEVICES=""),
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


def test_what_is_chosen_trains_and_half_as_much_again_does_not(tmp_path):
    """By a limit of the process, at which libraries may end by a signal; TensorFlow's own error is exit code 7."""
    place = [f"--models_dir={tmp_path}", "--run=r"]
    prepared = limited("prepare", *place, "--batch_size=auto", *SMALL)
    assert prepared.returncode == 0, prepared.stderr
    found = batch_size_record.read(Run(tmp_path / "r"))
    assert found.batch_size >= 3 and not all(one.fits for one in found.tries), found
    too_much = limited("train", *place, f"--batch_size={math.ceil(1.5 * found.batch_size)}")
    assert too_much.returncode in (7, -signal.SIGABRT, -signal.SIGSEGV), too_much.stderr
    if too_much.returncode == 7:
        assert "--batch_size=" in too_much.stderr.splitlines()[-1]
    assert not Run(tmp_path / "r").checkpoint_steps()
    trained = limited("train", *place, "--batch_size=auto")
    assert trained.returncode == 0, trained.stderr
    assert Run(tmp_path / "r").checkpoint_steps()[-1] == 2


@pytest.fixture(scope="module")
def tf():
    """TensorFlow without a GPU."""
    from app.odapi import runtime

    return runtime.start(use_gpu=False, seed=0)


KEEPS_ASPECT = "keep_aspect_ratio_resizer { min_dimension: 60 max_dimension: 100 %s }"


@pytest.mark.parametrize(
    ("resizer", "shape", "size"),
    [
        ("fixed_shape_resizer { height: 40 width: 60 }", (2, 40, 60, 3), (40, 60)),
        (KEEPS_ASPECT % "pad_to_max_dimension: true", (2, 100, 100, 3), (100, 100)),
        (KEEPS_ASPECT % "", (1, 60, 80, 3), (60, 100)),
        (KEEPS_ASPECT % "", (1, 100, 60, 3), (60, 100)),
    ],
    ids=["fixed", "padded", "lying", "upright"],
)
def test_images_are_as_large_as_they_get(tf, resizer, shape, size):
    """Those of one size already keep it; the others are padded, with their boxes repeated."""
    from app.odapi.largest_images import LargestImages

    override = f"model {{ ssd {{ image_resizer {{ {resizer} }} }} }}"
    largest = LargestImages(build(Request(model="tiny", num_classes=2, config_override=override)).config, boxes=5)
    free = shape if shape[1:3] == size else (shape[0], None, None, 3)
    boxes = tf.random.uniform((shape[0], 8, 4))
    features = {"image": tf.zeros(shape), "true_image_shape": tf.ones((shape[0], 3), tf.int32)}
    labels = {
        "groundtruth_boxes": boxes,
        "groundtruth_classes": tf.ones((shape[0], 8, 2)),
        "num_groundtruth_boxes": tf.fill((shape[0],), 2),
    }
    dataset = tf.data.Dataset.from_tensors((features, labels)).map(
        lambda features, labels: (
            {**features, "image": tf.compat.v1.placeholder_with_default(features["image"], free)},
            labels,
        )
    )
    features, labels = next(iter(dataset.map(largest.enlarge)))
    assert features["image"].shape == (shape[0], *size, 3)
    assert features["true_image_shape"].numpy().tolist() == [[*size, 3]] * shape[0]
    assert labels["num_groundtruth_boxes"].numpy().tolist() == [5] * shape[0]
    assert (labels["groundtruth_boxes"].numpy()[:, :5] == boxes.numpy()[:, [0, 1, 0, 1, 0]]).all()
