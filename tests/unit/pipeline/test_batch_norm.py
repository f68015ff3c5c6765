"""Batch norm's decay follows the length of the run."""

import re

import pytest

from app.pipeline import batch_norm


def decays(pipeline):
    return [float(value) for value in re.findall(r"decay: ([0-9.]+)", pipeline.text)]


@pytest.mark.parametrize(
    ("steps", "decay"), [(400, 0.97), (1200, 0.99), (4000, 0.997), (100, 0.9), (120, 0.9), (1, 0.9)]
)
def test_decay_for(steps, decay):
    """1 - 12 / steps, not under 0.9."""
    assert batch_norm.decay_for(steps) == pytest.approx(decay)


@pytest.mark.parametrize("steps", [120, 400, 3000])
def test_old_statistics_are_forgotten(steps):
    """What the run started with weighs under a thousandth at its end."""
    assert batch_norm.decay_for(steps) ** steps < 1e-3


def test_every_batch_norm_is_lowered(make, hands):
    """A short fine-tune lowers the decay in the extractor and the predictor, and says why."""
    pipeline = make(fine_tune_checkpoint=str(hands), num_train_steps=400)
    assert decays(pipeline) == [0.97, 0.97]
    (note,) = [note for note in pipeline.notes if "batch norm" in note]
    assert "0.997 lowered to 0.97 for 400 steps" in note and "0.3 at the end" in note


def test_long_run_keeps_the_models(make, hands):
    """A run that is long enough keeps the model's decay, without a note."""
    pipeline = make(fine_tune_checkpoint=str(hands), num_train_steps=20000)
    assert decays(pipeline) == [0.997, 0.997]
    assert not any("batch norm" in note for note in pipeline.notes)


def test_model_below_the_limit_is_kept(make):
    """EfficientDet's 0.99 is already fast enough for 2000 steps: never raised."""
    assert decays(make(model="efficientdet_d0", num_train_steps=2000)) == [0.99, 0.99]


def test_explicit(make):
    """A given decay is taken as it is, up or down."""
    assert decays(make(num_train_steps=400, batch_norm_decay=0.999)) == [0.999, 0.999]
    assert decays(make(num_train_steps=40000, batch_norm_decay=0.5)) == [0.5, 0.5]


def test_sync_batch_norm_too(make, write_model):
    """Batch norm over replicas is the same message under another name."""
    changes = """model { ssd { box_predictor { weight_shared_convolutional_box_predictor {
      conv_hyperparams { sync_batch_norm { decay: 0.999 } } } } } }"""
    model = write_model("tiny", changes)
    assert decays(make(model=model, num_train_steps=400)) == [0.97, 0.97]


def test_frozen_ssd_is_left(make, write_model):
    """freeze_batchnorm keeps the checkpoint's statistics, so the decay does not matter."""
    model = write_model("tiny", "model { ssd { freeze_batchnorm: true } }")
    assert decays(make(model=model, num_train_steps=400)) == [0.997, 0.997]


FPN = """model { faster_rcnn { feature_extractor {
  type: "faster_rcnn_resnet50_fpn_keras" batch_norm_trainable: %s
  override_base_feature_extractor_hyperparams: true conv_hyperparams { batch_norm { decay: 0.997 } } } } }"""


@pytest.mark.parametrize(("trainable", "decay"), [("true", 0.97), ("false", 0.997)])
def test_faster_rcnn_follows_batch_norm_trainable(make, write_model, trainable, decay):
    """Faster R-CNN's extractor is left alone when its batch norm is frozen, and edited when it trains."""
    pipeline = make(model=write_model("faster_rcnn_resnet50", FPN % trainable), num_train_steps=400)
    assert decays(pipeline) == [decay]


def test_faster_rcnn_with_fixed_decay_is_frozen_in_a_short_fine_tune(make, hands):
    """Its backbone ignores the config's decay; with a checkpoint it is frozen, and that is said."""
    short = make(model="faster_rcnn_resnet50", fine_tune_checkpoint=str(hands), num_train_steps=400)
    assert "batch_norm_trainable: false" in short.text
    assert any("frozen at the checkpoint's statistics" in note for note in short.notes)
    long = make(model="faster_rcnn_resnet50", fine_tune_checkpoint=str(hands), num_train_steps=25000)
    assert "batch_norm_trainable: true" in long.text


def test_faster_rcnn_from_scratch_is_not_frozen(make):
    """Random statistics are no good to freeze; the note says what helps."""
    pipeline = make(model="faster_rcnn_resnet50", num_train_steps=400)
    assert "batch_norm_trainable: true" in pipeline.text
    assert any("--fine_tune_checkpoint, or train longer" in note for note in pipeline.notes)


def test_backbone_out_of_reach_is_named(make, write_model):
    """An SSD backbone with upstream's own 0.9997 gets a note with the field that brings it into reach."""
    model = write_model(
        "tiny", "model { ssd { feature_extractor { override_base_feature_extractor_hyperparams: false } } }"
    )
    notes = make(model=model, num_train_steps=400).notes
    assert any("0.9997" in note and "override_base_feature" in note for note in notes)
