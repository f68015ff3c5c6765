"""Evaluation of checkpoints by upstream's model, input and postprocessing, in a loop of our own.

Upstream's `eager_eval_loop` builds evaluators, draws and converts for every batch eagerly. Here all that a batch needs
is one traced function, built before the first checkpoint is restored and used for all of them; what it finds is
measured once, at the end, and nothing is drawn.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from object_detection import inputs, model_lib, model_lib_v2
from object_detection.core import standard_fields
from object_detection.utils import config_util, label_map_util

from app.evaluation import coco
from app.evaluation.matching import EvaluatedImage
from app.evaluation.metrics_sets import BOXES, chosen_sets
from app.odapi.averaged_weights import load_averages
from app.odapi.metrics_sets import Image, MetricsSets, split_batch, stands_for_several
from app.protos.architecture import predicts_keypoints
from app.protos.pipeline_config import PipelineConfig

log = logging.getLogger(__name__)

IN, OUT = standard_fields.InputDataFields, standard_fields.DetectionResultFields
WANTED = (
    IN.key, IN.source_id, IN.num_groundtruth_boxes, IN.groundtruth_boxes, IN.groundtruth_classes,
    IN.groundtruth_is_crowd, IN.groundtruth_group_of, OUT.num_detections, OUT.detection_boxes, OUT.detection_scores,
    OUT.detection_classes,
)  # fmt: skip


@dataclass(frozen=True)
class Evaluated:
    """One pass over the evaluation images with the weights of a checkpoint.

    `metrics` has upstream's names, such as `DetectionBoxes_Precision/mAP` and `Loss/total_loss`.
    """

    step: int
    images: list[EvaluatedImage]
    metrics: dict[str, float]
    classes: dict[int, coco.ClassMetrics]


class Evaluator:
    """The model and the evaluation images of a pipeline.config, built and traced once."""

    def __init__(self, pipeline_config: Path, *, sample_1_of_n_eval_examples: int = 1, config_override: str = ""):
        configs = config_util.get_configs_from_pipeline_file(str(pipeline_config), config_override or None)
        configs = config_util.merge_external_params_with_configs(
            configs,
            None,
            kwargs_dict={
                "sample_1_of_n_eval_examples": sample_1_of_n_eval_examples,
                "eval_num_epochs": 1,
                "use_bfloat16": False,
            },
        )
        self._config, self._train, reader = (
            configs["eval_config"],
            configs["train_config"],
            configs["eval_input_config"],
        )
        reader.include_source_id = True
        index = label_map_util.create_category_index_from_labelmap(reader.label_map_path)
        self._categories = list(index.values())
        self.classes: dict[int, str] = {number: category["name"] for number, category in index.items()}
        """Names of the classes by id."""
        self.image_outputs = int(self._config.num_visualizations)
        self._pipeline = config_util.create_pipeline_proto_from_configs(configs)
        self._others = _other_sets(self._pipeline)
        # Upstream resizes every image a second time, to draw it; of what it draws only the size is needed here.
        self._config.retain_original_images = bool(self._others)
        tf.keras.backend.set_learning_phase(False)
        self._model = model_lib_v2.MODEL_BUILD_UTIL_MAP["detection_model_fn_base"](
            model_config=configs["model"], is_training=True
        )
        self._model._is_training = False
        self._dataset = tf.autograph.experimental.do_not_convert(inputs.eval_input)(
            eval_config=self._config, eval_input_config=reader, model_config=configs["model"], model=self._model
        )
        self._step = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._traced: dict[int, Any] = {}

    def evaluate(self, prefix: Path | str, batches: int = -1) -> Evaluated:
        """Evaluates the checkpoint `prefix` on so many batches, by default all.

        Raises AssertionError if a variable of the model is not in it.
        """
        self._restore(str(prefix))
        others = MetricsSets(self._pipeline, self._others, self._categories)
        images: list[EvaluatedImage] = []
        losses: dict[str, list[Any]] = {}
        for features, labels in self._dataset.take(batches):
            batch_losses, found = self._run(features, labels)
            for name, value in batch_losses.items():
                losses.setdefault(name, []).append(value)
            for image in split_batch({name: value.numpy() for name, value in found.items()}):
                others.add(image)
                images.append(_evaluated(image))
        figures = coco.measure_coco(images, self.classes)
        metrics = figures.metrics | others.measure()
        metrics.update({name: float(tf.reduce_mean(values)) for name, values in losses.items()})
        return Evaluated(int(self._step.numpy()), images, metrics, figures.classes)

    def _restore(self, prefix: str) -> None:
        """Loads the weights. The model is built first, so that every value is read here and none later."""
        if not self._traced:
            features, _ = next(iter(self._dataset))
            self._function(int(features[IN.image].shape[0]))
        status = tf.train.Checkpoint(step=self._step, model=self._model).read(prefix).expect_partial()
        status.assert_existing_objects_matched()
        if self._config.use_moving_averages:
            load_averages(self._model, prefix)

    def _run(self, features: dict[str, Any], labels: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._function(int(features[IN.image].shape[0]))(features, labels)

    def _function(self, size: int) -> Any:
        """The traced step for batches of `size`: one more is traced for the rest at the end of the set."""
        if size not in self._traced:
            signature = tf.nest.map_structure(
                lambda spec: tf.TensorSpec([size, *spec.shape[1:]], spec.dtype), self._dataset.element_spec
            )
            # Upstream's targets of keypoints have an `if` on a tensor where groundtruth is not padded.
            converted = predicts_keypoints(self._pipeline)
            function = tf.function(self._evaluate_batch, autograph=converted, input_signature=signature)
            self._traced[size] = function.get_concrete_function() and function
        return self._traced[size]

    def _evaluate_batch(
        self, features: dict[str, Any], labels: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Losses, and what upstream gives its evaluators: boxes in pixels of the stored image, class ids from 1."""
        # The same condition as upstream's: groundtruth is padded unless images come one by one.
        unpad = labels[IN.groundtruth_boxes].shape[1] is not None and self._config.batch_size == 1
        stacked = model_lib.unstack_batch(dict(labels), unpad_groundtruth_tensors=unpad)
        losses, predictions = model_lib_v2._compute_losses_and_predictions_dicts(
            self._model, features, stacked, add_regularization_loss=self._train.add_regularization_loss
        )
        detections = self._model.postprocess(predictions, features[IN.true_image_shape])
        found, class_agnostic = model_lib_v2.prepare_eval_dict(
            detections, dict(labels), {IN.original_image: features[IN.image], **features}
        )
        if class_agnostic:
            self._categories = list(label_map_util.create_class_agnostic_category_index().values())
            self.classes = {category["id"]: category["name"] for category in self._categories}
        found[IN.source_id] = features[IN.source_id]
        found.pop(IN.original_image)
        return losses, found if self._others else {name: found[name] for name in WANTED if name in found}


def _other_sets(config: PipelineConfig) -> list[str]:
    """The metrics sets that a config asks for and `coco` is no stand-in for."""
    asked = chosen_sets(config)
    return (
        asked if config.eval_config.skip_predictions_for_unlabeled_class else [name for name in asked if name != BOXES]
    )


def _evaluated(image: Image) -> EvaluatedImage:
    return EvaluatedImage(
        name=image[IN.source_id].decode("utf-8", "replace"),
        key=image[IN.key],
        truth_boxes=image[IN.groundtruth_boxes],
        truth_classes=image[IN.groundtruth_classes],
        crowd=stands_for_several(image),
        boxes=image[OUT.detection_boxes],
        scores=image[OUT.detection_scores],
        classes=image[OUT.detection_classes],
    )
