"""Every preset is a model that the OD API builds, trains, evaluates and exports."""

import os
from pathlib import Path

import numpy as np
import pytest

from app.pipeline.build import Request, build
from app.run.directory import Run
from entrypoint.__main__ import run as detbox

pytestmark = pytest.mark.odapi

CLASSES = 4
"""Those of the sample."""

BATCH_NORM_DECAY = 0.953
"""A value that no default has, to see where the config's decay arrives."""

UPSTREAMS_OWN = {
    "efficientdet_d0": 0.99,
    "faster_rcnn_resnet50": 0.997,
    "faster_rcnn_resnet101": 0.997,
    "centernet_resnet50_fpn": 0.99,
}
"""Backbones whose batch norm the config does not reach."""

slow = pytest.mark.slow
PRESETS = [
    ("tiny", 160),
    ("ssd_mobilenet_v2_fpnlite_320", 128),
    pytest.param("ssd_mobilenet_v2_fpnlite_640", 128, marks=slow),
    pytest.param("ssd_resnet50_fpn_640", 160, marks=slow),
    pytest.param("efficientdet_d0", 256, marks=slow),
    pytest.param("faster_rcnn_resnet50", 128, marks=slow),
    pytest.param("faster_rcnn_resnet101", 128, marks=slow),
    pytest.param("centernet_resnet50_fpn", 128, marks=slow),
]


@pytest.fixture(scope="module")
def tf():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import object_detection  # noqa: F401  (it selects the legacy Keras, before TensorFlow is imported)
    import tensorflow

    tensorflow.keras.utils.set_random_seed(1)
    return tensorflow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Run:
    """A run on ten images of the sample, two of them to evaluate on."""
    models = tmp_path_factory.mktemp("models")
    flags = [f"--models_dir={models}", "--run=r", "--sample_images=10", "--model=tiny"]
    assert detbox(["prepare", *flags]) == 0
    return Run(models / "r")


def make(preset: str, side: int, run: Run):
    """The preset for the run's data and images of side x side pixels, few enough for two CPU cores."""
    return build(
        Request(
            model=preset,
            num_classes=CLASSES,
            label_map_path=str(run.label_map),
            train_records=str(run.records / "train*.tfrecord"),
            eval_records=str(run.records / "eval*.tfrecord"),
            image_size=str(side),
            batch_size=2,
            eval_batch_size=2,
            eval_image_outputs=0,
            num_train_steps=1000,
            # From random weights Faster R-CNN, whose batch norm is frozen, diverges at once with its own.
            learning_rate=1e-4,
            batch_norm_decay=BATCH_NORM_DECAY,
        )
    )


@pytest.mark.parametrize(("preset", "side"), PRESETS)
def test_preset_trains_evaluates_and_exports(tf, prepared, tmp_path, preset, side):
    """Two steps, an evaluation of what they made by detbox's evaluator, and an export that detects."""
    pipeline = make(preset, side, prepared)
    config = tmp_path / "pipeline.config"
    config.write_text(pipeline.text)
    prefix = train_two_steps(tf, pipeline.config, preset, side, tmp_path)
    evaluate(config, prefix)
    export(tf, config, prefix, tmp_path / "saved_model")


def train_two_steps(tf, config, preset: str, side: int, folder: Path) -> str:
    """Two steps give finite losses and move the weights; batch norm has the decay that is promised. A checkpoint."""
    from object_detection.builders import model_builder, optimizer_builder

    model = model_builder.build(config.model, is_training=True)
    # The schedule reads its step from a variable; past warm-up the rate is surely above 0.
    step = tf.Variable(200, dtype=tf.int64, trainable=False)
    optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=step)
    random = np.random.default_rng(0)
    images = tf.constant(random.uniform(0, 255, (2, side, side, 3)), tf.float32)
    boxes = [tf.constant([[0.1, 0.1, 0.6, 0.7]], tf.float32), tf.constant([[0.3, 0.2, 0.9, 0.9]], tf.float32)]
    classes = [tf.one_hot([number], CLASSES) for number in (0, 1)]
    weights = [tf.constant([1.0]), tf.constant([1.0])]

    @tf.function(autograph=False)  # as the seam has it
    def train_step():
        inputs, shapes = model.preprocess(images)
        model.provide_groundtruth(
            groundtruth_boxes_list=boxes, groundtruth_classes_list=classes, groundtruth_weights_list=weights
        )
        with tf.GradientTape() as tape:
            losses = model.loss(model.predict(inputs, shapes), shapes)
            total = tf.add_n(list(losses.values()))
        gradients = tape.gradient(total, model.trainable_variables)
        if config.train_config.gradient_clipping_by_norm > 0:  # as model_lib_v2 does
            gradients, _ = tf.clip_by_global_norm(gradients, config.train_config.gradient_clipping_by_norm)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return losses

    losses = train_step()
    if preset.startswith("faster"):
        # Batch norm is frozen here, at nothing of a random start's: signals of 100 layers would leave float32.
        for variable in model.variables:
            if "gamma" in variable.name:
                variable.assign(variable * 0.3)
    before = [variable.numpy().copy() for variable in model.trainable_variables]
    train_step()
    assert all(np.isfinite(value.numpy()) for value in losses.values()), losses
    assert any(not np.array_equal(a, b.numpy()) for a, b in zip(before, model.trainable_variables, strict=True))
    assert momenta(model) == expected_momenta(preset)
    return tf.train.Checkpoint(step=step, model=model).write(str(folder / "ckpt-200"))


def evaluate(config: Path, prefix: str) -> None:
    """Both held-out images are measured, with a finite loss and an mAP, whatever it is after two steps."""
    from app.odapi.evaluator import Evaluator

    evaluated = Evaluator(config).evaluate(prefix)
    assert (evaluated.step, len(evaluated.images)) == (200, 2)
    assert np.isfinite(evaluated.metrics["Loss/total_loss"])
    assert 0 <= evaluated.metrics["DetectionBoxes_Precision/mAP"] <= 1


def export(tf, config: Path, prefix: str, folder: Path) -> None:
    """The SavedModel loads and gives detections in the OD API's form: sorted, boxes in order, classes from 1."""
    from app.odapi.exporter import Exporter

    Exporter(config, Path(prefix)).saved_model(folder, "image_tensor", "serving_default")
    detect = tf.saved_model.load(str(folder)).signatures["serving_default"]
    image = np.random.default_rng(1).integers(0, 255, (1, 120, 90, 3), np.uint8)
    found = detect(input_tensor=tf.constant(image))
    count = int(found["num_detections"][0])
    boxes, scores = found["detection_boxes"][0].numpy()[:count], found["detection_scores"][0].numpy()[:count]
    assert np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all()
    assert (np.diff(scores) <= 0).all()
    assert set(found["detection_classes"][0].numpy()[:count].astype(int)) <= set(range(1, CLASSES + 1))


def momenta(model) -> set[float]:
    """The momentum of every batch norm layer in a model."""
    layers = [layer for layer in model.submodules if hasattr(layer, "moving_mean")]
    return {round(layer.momentum, 6) for layer in layers}


def expected_momenta(preset: str) -> set[float]:
    """The config's decay where a preset has conv_hyperparams, upstream's own where it is out of reach."""
    reached = set() if preset.startswith(("faster", "center")) else {BATCH_NORM_DECAY}
    return reached | ({UPSTREAMS_OWN[preset]} if preset in UPSTREAMS_OWN else set())
