"""The seam changes when things happen, not what a step computes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, detbox, environment, place

from app.protos import pipeline_config

pytestmark = pytest.mark.odapi
STEPS = 20
V2 = 2  # train_pb2.CheckpointVersion.V2


def losses(tree: str, config: Path, model_dir: Path) -> dict[str, list[float]]:
    """{tag: value of each step} of `train_loop` in a process of its own, from the OD API in `tree` or installed."""
    script = Path(__file__).with_name("loop_losses.py")
    paths = os.pathsep.join([str(script.parent)])
    result = subprocess.run(
        [sys.executable, str(script), tree, str(config), str(model_dir), str(STEPS)],
        env=environment(PYTHONPATH=paths), capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


def test_losses_equal_those_of_upstreams_own_loop(fresh, tmp_path):
    """20 steps from the same weights on the same images, by a tree without the seam and by ours."""
    tree = tmp_path / "without-seam"
    backend = ROOT / "third_party" / "object_detection" / "backend.py"
    subprocess.run([sys.executable, str(backend), "unpack", str(tree), "--without-seam"], check=True, timeout=600)
    assert not (tree / "object_detection" / "train_seam.py").exists()

    start = detbox("train", *place(fresh), "--num_train_steps=2", "--batch_size=2")
    assert start.returncode == 0, start.stderr
    config = pipeline_config.parse_pipeline(fresh.pipeline_config.read_text("utf-8"), where="")
    train = config.train_config
    train.num_steps, train.fine_tune_checkpoint = STEPS, str(fresh.checkpoint(2))
    train.fine_tune_checkpoint_type, train.fine_tune_checkpoint_version = "full", V2
    del train.data_augmentation_options[:]
    config.train_input_reader.shuffle = False
    path = tmp_path / "pipeline.config"
    path.write_text(pipeline_config.print_pipeline(config), "utf-8")
    theirs = losses(str(tree), path, tmp_path / "theirs")
    ours = losses("", path, tmp_path / "ours")
    tags = [tag for tag in theirs if tag.startswith("Loss/")]
    assert "Loss/total_loss" in tags and len(tags) >= 3
    for tag in tags:
        assert len(ours[tag]) == len(theirs[tag]) == STEPS
        np.testing.assert_allclose(ours[tag], theirs[tag], rtol=1e-3, err_msg=tag)
    assert theirs["Loss/total_loss"][-1] != theirs["Loss/total_loss"][0]
