"""Every augmentation that has a name is a step that upstream builds and runs."""

import numpy as np
import pytest

from app.pipeline import augmentations
from app.pipeline.build import Request, build

pytestmark = pytest.mark.odapi


@pytest.fixture(scope="module")
def apply():
    """Gives (image, boxes) after one step of an image of 96 x 128 pixels with two boxes."""
    import object_detection  # noqa: F401  (it selects the legacy Keras, before TensorFlow is imported)
    import tensorflow as tf
    from object_detection.builders import preprocessor_builder
    from object_detection.core import preprocessor
    from object_detection.core.standard_fields import InputDataFields as Fields

    tf.keras.utils.set_random_seed(3)
    image = np.random.default_rng(0).uniform(0, 255, (1, 96, 128, 3)).astype(np.float32)

    def run(option):
        tensors = {
            Fields.image: tf.constant(image),
            Fields.groundtruth_boxes: tf.constant([[0.1, 0.2, 0.6, 0.7], [0.3, 0.1, 0.9, 0.5]]),
            Fields.groundtruth_classes: tf.constant([1, 2]),
            Fields.groundtruth_weights: tf.constant([1.0, 1.0]),
        }
        step = preprocessor_builder.build(option)
        # As the input pipeline has it: some steps run in no other way.
        dataset = tf.data.Dataset.from_tensors(tensors).map(lambda row: preprocessor.preprocess(row, [step]))
        after = next(iter(dataset))
        return after[Fields.image].numpy(), after[Fields.groundtruth_boxes].numpy()

    return run


@pytest.mark.parametrize("name", augmentations.BY_NAME)
def test_named_step_runs(apply, name):
    """The image stays one of three channels in range, boxes stay normalized and the right way round."""
    config = build(
        Request(model="tiny", num_classes=2, label_map_path="", train_records="", eval_records="", augmentations=name)
    ).config
    (option,) = config.train_config.data_augmentation_options
    for _ in range(2):
        image, boxes = apply(option)
        assert image.ndim == 4 and image.shape[-1] == 3 and min(image.shape) > 0
        assert np.isfinite(image).all() and image.min() >= -1e-3 and image.max() <= 255 * 1.1 + 1e-3
        assert (boxes >= -1e-6).all() and (boxes <= 1 + 1e-6).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
