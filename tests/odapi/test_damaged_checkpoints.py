"""What is found of a run whose trainer was killed, or whose checkpoints were damaged."""

import json
import shutil

import numpy as np
import pytest
from command import copy_of, detbox, place
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from app.run.directory import Run
from app.run.files import read_json, read_lines

pytestmark = pytest.mark.odapi
TRAIN = ["--batch_size=2", "--log_every_n=5", "--summary_every_n=5", "--checkpoint_every_n=10",
         "--checkpoint_max_to_keep=9", "--warmup_steps=2"]  # fmt: skip


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory) -> Run:
    """A run of 20 steps with checkpoints of 10 and 20."""
    run = copy_of(prepared, tmp_path_factory.mktemp("trained") / "small")
    result = detbox("train", *place(run), *TRAIN, "--num_train_steps=20")
    assert result.returncode == 0, result.stderr
    return run


@pytest.fixture
def run(trained, tmp_path) -> Run:
    return copy_of(trained, tmp_path / "small")


def poison(prefix):
    """Makes one weight of the checkpoint NaN, with a right checksum; the file of TensorFlow's own writer."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    name = next(name for name in values if "kernel" in name and "OPTIMIZER" not in name)
    values[name] = np.where(np.arange(values[name].size).reshape(values[name].shape) == 7, np.nan, values[name])
    names = sorted(values)
    tf.raw_ops.SaveV2(
        prefix=f"{prefix}.tmp", tensor_names=names, shape_and_slices=[""] * len(names),
        tensors=[tf.constant(values[name]) for name in names],
    )  # fmt: skip
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[f"{prefix}.tmp"], destination_prefix=str(prefix))


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def test_steps_that_are_run_again_are_recorded_once(run):
    """Killed after step 20 and before its checkpoint was whole, it goes on from 10: in metrics.jsonl and TensorBoard
    each step is there once, what the save left is removed, and that is said."""
    next(run.root.glob("ckpt-20.index")).unlink()
    run.done.unlink()
    left = run.root / ".saving-20-99999999"
    left.mkdir()
    (left / "ckpt-20.data-00000-of-00001").write_bytes(b"half")
    result = detbox("train", *place(run), *TRAIN, "--num_train_steps=20")
    assert result.returncode == 0, result.stderr
    assert "resumed from" in result.stderr and "ckpt-10" in result.stderr
    assert "removed 2 leftovers" in result.stderr and not left.exists()
    assert "2 lines of steps after 10 dropped" in result.stderr
    assert [row["step"] for row in read_lines(run.metrics)] == [5, 10, 15, 20]
    assert run.checkpoint_steps() == [10, 20]
    assert len(list(run.train_events.glob("events.*"))) == 2
    events = EventAccumulator(str(run.train_events), size_guidance={"tensors": 0})
    events.Reload()
    assert [event.step for event in events.Tensors("Loss/total_loss")] == [5, 10, 15, 20]


def test_weights_that_are_not_finite_are_neither_trained_on_nor_evaluated(run):
    """The trainer goes on from the one before; the evaluator says so, and gives it no mAP of 0."""
    poison(run.checkpoint(20))
    looked = detbox("evaluate", *place(run), "--once")
    assert looked.returncode == 0, looked.stderr
    assert "ckpt-20 is damaged and skipped: not finite: " in looked.stderr
    assert [row["step"] for row in read_lines(run.evaluations)] == [10]
    result = detbox("train", *place(run), *TRAIN, "--num_train_steps=21")
    assert result.returncode == 0, result.stderr
    assert "ckpt-20 is broken and passed over: not finite: " in result.stderr and "ckpt-10" in result.stderr
    assert (run.broken / "ckpt-20.index").is_file()


def test_a_run_without_a_whole_checkpoint_is_not_begun_anew(run):
    """Exit 3 with their names; with a copy of best/ put back as the remedy says, it goes on."""
    run.best.mkdir()
    for path in run.root.glob("ckpt-10.*"):
        shutil.copy(path, run.best / path.name)
    for path in run.root.glob("ckpt-*.data-*"):
        flip(path)
    flags = [*place(run), *TRAIN, "--num_train_steps=22"]
    result = detbox("train", *flags)
    assert result.returncode == 3, result.stderr
    line = result.stderr.splitlines()[-1]
    assert "ckpt-20 (" in line and "ckpt-10 (" in line and f"cp {run.best / 'ckpt-10'}.* {run.root}" in line
    assert run.checkpoint_steps() == [10, 20]
    for path in run.root.glob("ckpt-*"):
        path.unlink()
    result = detbox("train", *flags)
    assert result.returncode == 3 and "begin anew" in result.stderr, result.stderr
    for path in run.best.glob("ckpt-10.*"):
        shutil.copy(path, run.root / path.name)
    result = detbox("train", *flags)
    assert result.returncode == 0, result.stderr
    assert "resumed from" in result.stderr and read_json(run.done)["step"] == 22


def test_a_pipeline_config_that_was_changed_by_hand_is_said(run):
    """By trainer and evaluator; one that does not fit the checkpoint is exit 3 of both."""
    text = run.pipeline_config.read_text("utf-8")
    run.pipeline_config.write_text(text.replace("steps: 20", "steps: 21"), "utf-8")
    looked = detbox("evaluate", *place(run), "--once")
    assert looked.returncode == 0, looked.stderr
    assert "pipeline.config was changed by hand" in looked.stderr
    result = detbox("train", *place(run))
    assert result.returncode == 0, result.stderr
    assert "pipeline.config was changed by hand" in result.stderr
    again = detbox("evaluate", *place(run), "--once")
    assert again.returncode == 0 and "by hand" not in again.stderr, again.stderr
    wider = run.pipeline_config.read_text("utf-8").replace("depth: 64", "depth: 96")
    assert wider != run.pipeline_config.read_text("utf-8")
    run.pipeline_config.write_text(wider.replace("steps: 21", "steps: 22"), "utf-8")
    run.evaluations.unlink()
    for command in ("evaluate", "train"):
        result = detbox(command, *place(run), "--once" if command == "evaluate" else "--resume")
        assert result.returncode == 3, result.stderr
        assert "internal error" not in result.stderr
        assert "does not fit" in result.stderr.splitlines()[-1]
    assert json.loads(run.status("evaluator").read_text())["state"] == "failed"
