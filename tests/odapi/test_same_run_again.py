"""The same losses, bit for bit, of a run that is made again; and what holds for one that is resumed."""

import equal_images
import pytest
from command import copy_of, detbox, place

from app.run.directory import Run
from app.run.metrics import read_metrics

pytestmark = pytest.mark.odapi
STEPS = 50
SMALL = ["--sample_images=16", "--image_size=64", "--batch_size=2", "--log_every_n=1", "--image_summary_every_n=0"]


def losses(run):
    return {row["step"]: row["loss"] for row in read_metrics(run)}


def test_a_deterministic_run_is_the_same_bit_for_bit_when_it_is_made_again(tmp_path):
    """By --from alone: settings, data, order of the input, augmentation and every sum."""
    first, again = Run(tmp_path / "first"), Run(tmp_path / "first-again")
    made = detbox("prepare", *place(first), *SMALL, f"--num_train_steps={STEPS}", "--deterministic")
    assert made.returncode == 0, made.stderr
    trained = detbox("train", *place(first))
    assert trained.returncode == 0, trained.stderr
    repeated = detbox("train", f"--models_dir={tmp_path}", f"--from={first.provenance}")
    assert repeated.returncode == 0, repeated.stderr
    assert len(losses(first)) == STEPS
    assert losses(again) == losses(first)
    assert "not as in" not in repeated.stderr


def test_a_resumed_run_goes_on_as_if_it_had_not_ended(tmp_path):
    """Weights, optimizer and schedule; the input begins anew, so here every batch is the same."""
    images = equal_images.write(tmp_path / "images", count=3)
    whole = Run(tmp_path / "whole")
    flags = [*equal_images.FLAGS, "--num_shards=1", "--eval_fraction=0.34", "--deterministic"]
    made = detbox("prepare", *place(whole), f"--dataset={images}", *flags, "--num_train_steps=8")
    assert made.returncode == 0, made.stderr
    trained = detbox("train", *place(whole), "--checkpoint_every_n=4")
    assert trained.returncode == 0, trained.stderr
    parts = copy_of(whole, tmp_path / "parts")
    for path in [*parts.root.glob("ckpt-8.*"), parts.done]:
        path.unlink()
    resumed = detbox("train", *place(parts), "--checkpoint_every_n=4")
    assert resumed.returncode == 0 and "ckpt-4" in resumed.stderr, resumed.stderr
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5)
