"""Every preset is a model that the OD API builds and trains."""

import os

import numpy as np
import pytest

from app.pipeline.build import Request, build

pytestmark = pytest.mark.odapi

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


def make(preset: str, side: int):
    """The preset for two classes and pictures of side x side pixels, few enough for two CPU cores."""
    resizer = f"image_resizer {{ fixed_shape_resizer {{ height: {side} width: {side} }} }}"
    kind = "faster_rcnn" if "faster" in preset else "center_net" if "center" in preset else "ssd"
    return build(
        Request(
            model=preset,
            num_classes=2,
            label_map_path="",
            train_records="",
            eval_records="",
            batch_size=2,
            num_train_steps=1000,
            batch_norm_decay=BATCH_NORM_DECAY,
            config_override=f"model {{ {kind} {{ {resizer} }} }}",
        )
    )


@pytest.mark.parametrize(("preset", "side"), PRESETS)
def test_preset_trains(tf, preset, side):
    """Two steps give finite losses and move the weights; batch norm has the decay that is promised."""
    from object_detection.builders import model_builder, optimizer_builder

    pipeline = make(preset, side)
    model = model_builder.build(pipeline.config.model, is_training=True)
    # The schedule reads its step from a variable; past warm-up the rate is surely above 0.
    step = tf.Variable(200, dtype=tf.int64, trainable=False)
    optimizer, _ = optimizer_builder.build(pipeline.config.train_config.optimizer, global_step=step)
    random = np.random.default_rng(0)
    pictures = tf.constant(random.uniform(0, 255, (2, side, side, 3)), tf.float32)
    boxes = [tf.constant([[0.1, 0.1, 0.6, 0.7]], tf.float32), tf.constant([[0.3, 0.2, 0.9, 0.9]], tf.float32)]
    classes = [tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])]
    weights = [tf.constant([1.0]), tf.constant([1.0])]

    @tf.function(autograph=False)  # as the seam has it
    def train_step():
        inputs, shapes = model.preprocess(pictures)
        model.provide_groundtruth(
            groundtruth_boxes_list=boxes, groundtruth_classes_list=classes, groundtruth_weights_list=weights
        )
        with tf.GradientTape() as tape:
            losses = model.loss(model.predict(inputs, shapes), shapes)
            total = tf.add_n(list(losses.values()))
        gradients = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return losses

    losses = train_step()
    before = [variable.numpy().copy() for variable in model.trainable_variables]
    train_step()
    assert all(np.isfinite(value.numpy()) for value in losses.values()), losses
    assert any(not np.array_equal(a, b.numpy()) for a, b in zip(before, model.trainable_variables, strict=True))
    assert momenta(model) == expected_momenta(preset)


def momenta(model) -> set[float]:
    """The momentum of every batch norm layer in a model."""
    layers = [layer for layer in model.submodules if hasattr(layer, "moving_mean")]
    return {round(layer.momentum, 6) for layer in layers}


def expected_momenta(preset: str) -> set[float]:
    """The config's decay where a preset has conv_hyperparams, upstream's own where it is out of reach."""
    reached = set() if preset.startswith(("faster", "center")) else {BATCH_NORM_DECAY}
    return reached | ({UPSTREAMS_OWN[preset]} if preset in UPSTREAMS_OWN else set())
