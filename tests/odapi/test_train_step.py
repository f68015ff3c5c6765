"""The training step in half precision, in several passes, compiled: the losses and variables of upstream's."""

import numpy as np
import pytest
from command import detbox

from app.pipeline.step_plan import PLAIN, StepPlan
from app.protos import pipeline_config
from app.run.directory import Run

pytestmark = pytest.mark.odapi
STEPS = 3
BATCH = 8


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A small model whose batch norm is frozen, on a small sample."""
    models = tmp_path_factory.mktemp("models")
    flags = [f"--models_dir={models}", "--run=r", "--sample_images=20", "--image_size=64", f"--batch_size={BATCH}"]
    result = detbox("prepare", *flags, "--config_override=model { ssd { freeze_batchnorm: true } }")
    assert result.returncode == 0, result.stderr
    return pipeline_config.read_pipeline(Run(models / "r").pipeline_config)


@pytest.fixture(scope="module")
def tf():
    """TensorFlow on the CPU, which does not optimize graphs that run a few times."""
    from app.odapi import runtime

    tensorflow = runtime.start(use_gpu=False, seed=0)
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield tensorflow
    tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@pytest.fixture(scope="module")
def batch(config, tf):
    """Features and labels of a training batch."""
    from object_detection.builders import model_builder

    from app.odapi import one_batch, training_batch

    short = type(config)()
    short.CopyFrom(config)
    one_batch.shorten(short)
    short.train_config.batch_size = BATCH
    return training_batch.read_training_batch(short, model_builder.build(config.model, is_training=True), 1)


@pytest.fixture(scope="module")
def made(config, tf):
    """`made(plan)`: the step of a new model, always with the same initial variables."""
    from app.odapi import train_step

    def make(plan: StepPlan):
        tf.keras.backend.clear_session()
        tf.keras.utils.set_random_seed(0)
        return train_step.make(config, plan)

    return make


def losses(step, batch) -> list[dict[str, float]]:
    """Those of some steps."""
    return [{name: float(loss) for name, loss in step(*batch).items()} for _ in range(STEPS)]


def totals(found) -> list[float]:
    return [one["Loss/total_loss"] for one in found]


def values(step) -> list[np.ndarray]:
    return [one.numpy() for one in step.model.trainable_variables]


@pytest.fixture(scope="module")
def plain(made, batch, tmp_path_factory):
    """The losses of upstream's step, the variables after them, and a checkpoint of these."""
    with made(PLAIN) as step:
        found = losses(step, batch)
        return found, values(step), step.checkpoint().write(str(tmp_path_factory.mktemp("plain") / "ckpt"))


def test_an_update_of_several_passes_is_that_of_the_whole_batch(made, batch, plain):
    """The same losses, term by term, and variables: each pass counts by its matches, regularization once."""
    with made(StepPlan(parts=4)) as step:
        for one, expected in zip(losses(step, batch), plain[0], strict=True):
            assert one == pytest.approx(expected, rel=1e-5)
        for one, expected in zip(values(step), plain[1], strict=True):
            np.testing.assert_allclose(one, expected, atol=1e-5)


def test_bfloat16_gives_the_losses_of_float32_within_its_own_precision(made, batch, plain):
    """It has 8 bits; losses are float32, and so are variables."""
    with made(StepPlan(precision="bfloat16")) as step:
        assert totals(losses(step, batch)) == pytest.approx(totals(plain[0]), rel=1e-2)
        assert {one.dtype for one in values(step)} == {np.dtype("float32")}


def test_float16_in_several_passes(made, tf, batch, plain, tmp_path):
    """Its losses are float32's within 11 bits; gradients that do not fit are left out; checkpoints are the same."""
    from object_detection import model_lib_v2

    with made(StepPlan(precision="float16", parts=2)) as step:
        assert totals(losses(step, batch)) == pytest.approx(totals(plain[0]), rel=2e-3)
        scale = model_lib_v2.eager_train_step.loss_scale.scale
        before = values(step)
        scale.assign(2.0**120)
        assert np.isfinite(float(step(*batch)["Loss/total_loss"]))
        assert float(scale) == 2.0**119
        for one, kept in zip(values(step), before, strict=True):
            np.testing.assert_array_equal(one, kept)
        step.checkpoint().restore(plain[2]).assert_consumed()
        for one, expected in zip(values(step), plain[1], strict=True):
            np.testing.assert_array_equal(one, expected)
        newer = step.checkpoint().write(str(tmp_path / "ckpt"))
    assert tf.train.list_variables(newer) == tf.train.list_variables(plain[2])


def test_the_scale_doubles_halves_and_gives_up(tf):
    """After 2000 finite updates, and at each that is not; of the least scale it says that it is not to blame."""
    from app.odapi.loss_scale import GROWS_AFTER, LossScale

    scale = LossScale()
    first = float(scale.scale)
    scale._since.assign(GROWS_AFTER - 2)
    for is_finite, expected in ((True, first), (True, 2 * first), (True, 2 * first), (False, first)):
        assert not scale.update(tf.constant(is_finite))
        assert float(scale.scale) == expected
    scale.scale.assign(1.0)
    assert scale.update(tf.constant(False))
    assert float(scale.scale) == 1.0
    assert scale.all_finite([tf.zeros([2]), tf.ones([])])
    assert not scale.all_finite([tf.zeros([2]), tf.constant([1.0, float("inf")])])


def test_upstream_has_its_own_step_and_policy_again_afterwards(config, tf):
    """Evaluation in the same process is in float32."""
    from object_detection import model_lib_v2
    from object_detection.utils import ops

    from app.odapi import train_step

    before = model_lib_v2.eager_train_step, ops.bfloat16_to_float32_nested
    with train_step.make(config, StepPlan(precision="bfloat16", jit=True)):
        assert model_lib_v2.eager_train_step is not before[0]
        assert tf.keras.mixed_precision.global_policy().compute_dtype == "bfloat16"
        assert tf.config.optimizer.get_jit()
    assert (model_lib_v2.eager_train_step, ops.bfloat16_to_float32_nested) == before
    assert tf.keras.mixed_precision.global_policy().compute_dtype == "float32"
    assert not tf.config.optimizer.get_jit()


def test_a_pass_of_centernet_counts_by_its_boxes(tf):
    """Of three boxes and one, the loss of both images is not the mean of the two."""
    from object_detection.builders import model_builder

    from app.odapi.part_weights import divisor_seen
    from app.pipeline.build import Request, build

    config = build(Request(model="centernet_resnet50_fpn", num_classes=2, image_size="128", batch_size=2)).config
    model = model_builder.build(config.model, is_training=True)
    boxes = tf.constant([[[0.1, 0.1, 0.5, 0.5], [0.3, 0.2, 0.9, 0.8], [0.5, 0.5, 0.7, 0.9]]] * 2)
    classes, weights = tf.one_hot([[0, 1, 1]] * 2, 2), tf.constant([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    heads = {"object_center": 2, "box/scale": 2, "box/offset": 2}
    predicted = {name: tf.random.normal([2, 32, 32, depth]) for name, depth in heads.items()}

    def loss(images: slice):
        model.provide_groundtruth(
            groundtruth_boxes_list=tf.unstack(boxes[images]),
            groundtruth_classes_list=tf.unstack(classes[images]),
            groundtruth_weights_list=tf.unstack(weights[images]),
        )
        heads_of = {name: [one[images]] for name, one in predicted.items()}
        shapes = tf.constant([[128, 128, 3]] * 2)[images]
        with divisor_seen(model) as divisor:
            found = model.loss(heads_of | {"preprocessed_inputs": tf.zeros([2, 128, 128, 3])[images]}, shapes)
        return {name: float(one) for name, one in found.items()}, float(divisor.things)

    (whole, both), (first, three), (second, one) = loss(slice(0, 2)), loss(slice(0, 1)), loss(slice(1, 2))
    assert (both, three, one) == (4, 3, 1)
    assert {name: (3 * first[name] + second[name]) / 4 for name in whole} == pytest.approx(whole, rel=1e-5)
