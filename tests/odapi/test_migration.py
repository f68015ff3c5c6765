"""What `migrate` writes is a model that the OD API builds and runs."""

import os

import numpy as np
import pytest
from tf1_configs import FASTER_RCNN, SSD

from app.pipeline import preflight
from app.pipeline.build import Request, build
from app.pipeline.migration import convert, tf2_counterpart, training

pytestmark = pytest.mark.odapi

SMALLER = FASTER_RCNN.replace("resnet101", "resnet50")
"""The same model with half of the layers to build."""


@pytest.fixture(scope="module")
def tf():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import object_detection  # noqa: F401  (it selects the legacy Keras, before TensorFlow is imported)
    import tensorflow

    return tensorflow


def migrated(text, folder):
    """The pipeline that `prepare` makes of the migrated config, for images of 128x128."""
    path = folder / "pipeline.config"
    path.write_text(convert.convert(text, [], where="old.config").text)
    kind = "ssd" if text is SSD else "faster_rcnn"
    (folder / "records-0").touch()
    resizer = "image_resizer { fixed_shape_resizer { height: 128 width: 128 } }"
    request = Request(
        model=str(path),
        num_classes=2,
        label_map_path="",
        train_records=str(folder / "records-*"),
        eval_records=str(folder / "records-*"),
        num_train_steps=1000,
        config_override=f"model {{ {kind} {{ {resizer} }} }}",
    )
    return build(request).config


@pytest.mark.parametrize("text", [SSD, SMALLER], ids=["ssd", "faster_rcnn"])
def test_migrated_model_runs(tf, text, tmp_path):
    """Preflight finds no error in it, it builds, and its losses and optimizer are of use."""
    from object_detection.builders import model_builder, optimizer_builder

    config = migrated(text, tmp_path)
    findings = preflight.check(config, label_map={1: "a", 2: "b"})
    assert [finding for finding in findings if finding.severity == "error"] == []
    model = model_builder.build(config.model, is_training=True)
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (1, 128, 128, 3)), tf.float32)
    inputs, shapes = model.preprocess(images)
    model.provide_groundtruth(
        groundtruth_boxes_list=[tf.constant([[0.1, 0.1, 0.6, 0.7]])],
        groundtruth_classes_list=[tf.constant([[1.0, 0.0]])],
        groundtruth_weights_list=[tf.constant([1.0])],
    )
    losses = model.loss(model.predict(inputs, shapes), shapes)
    assert losses and all(np.isfinite(value.numpy()) for value in losses.values())
    optimizer, _ = optimizer_builder.build(config.train_config.optimizer, global_step=tf.Variable(0, dtype=tf.int64))
    variable = tf.Variable([1.0])
    moved = []
    for _ in range(30):
        before = variable.numpy()[0]
        optimizer.apply_gradients([(tf.constant([1e-3]), variable)])
        moved.append(before - variable.numpy()[0])
    # TF1's RMSprop as it stands has a rate that has fallen to 1/27 by now.
    assert moved[-1] > moved[0]


def test_counterparts_are_upstreams():
    """Every counterpart is in upstream's builder, and so is every Keras extractor of TF1's names."""
    from object_detection.builders import model_builder

    known = {
        *model_builder.SSD_KERAS_FEATURE_EXTRACTOR_CLASS_MAP,
        *model_builder.FASTER_RCNN_KERAS_FEATURE_EXTRACTOR_CLASS_MAP,
    }
    assert set(tf2_counterpart.COUNTERPARTS.values()) <= known
    assert not {f"{name}_keras" for name in tf2_counterpart.NEAREST} & known


def test_metrics_sets_are_upstreams():
    """The names that metrics sets are given are upstream's of today, and the old ones are not."""
    from object_detection import eval_util

    assert set(training.METRICS.values()) <= set(eval_util.EVAL_METRICS_CLASS_DICT)
    assert not set(training.METRICS) & set(eval_util.EVAL_METRICS_CLASS_DICT)
