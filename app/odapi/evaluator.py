"""Evaluation of checkpoints by upstream's model, input and postprocessing, in a loop of our own.

Upstream's `eager_eval_loop` builds evaluators, draws and converts for every batch eagerly. Here all that a batch needs
is one traced function, built before the first checkpoint is restored and used for all of them; what it finds is
measured once, at the end, and nothing is drawn.
"""

import contextlib
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from object_detection import eval_util, inputs, model_lib, model_lib_v2
from object_detection.core import standard_fields
from object_detection.utils import config_util, label_map_util

from app.evaluation import coco
from app.evaluation.matching import EvaluatedImage
from app.odapi.averaged_weights import load_averages
from app.protos.pipeline_config import PipelineConfig

log = logging.getLogger(__name__)

IN, OUT = standard_fields.InputDataFields, standard_fields.DetectionResultFields
OURS = "coco_detection_metrics"
"""The evaluator of upstream that `app.evaluation.coco` stands for."""
WANTED = (
    IN.key, IN.source_id, IN.num_groundtruth_boxes, IN.groundtruth_boxes, IN.groundtruth_classes,
    IN.groundtruth_is_crowd, OUT.num_detections, OUT.detection_boxes, OUT.detection_scores, OUT.detection_classes,
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
        self._others = _other_metrics(self._config)
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

    def evaluate(self, prefix: Path | str) -> Evaluated:
        """Evaluates the checkpoint `prefix`. Raises AssertionError if a variable of the model is not in it."""
        self._restore(str(prefix))
        evaluators = self._other_evaluators()
        images: list[EvaluatedImage] = []
        losses: dict[str, list[Any]] = {}
        for features, labels in self._dataset:
            batch_losses, found = self._run(features, labels)
            for name, value in batch_losses.items():
                losses.setdefault(name, []).append(value)
            for evaluator in evaluators:
                evaluator.add_eval_dict(found)
            images += _images({name: found[name].numpy() for name in WANTED if name in found})
        figures = coco.measure_coco(images, self.classes)
        metrics = dict(figures.metrics)
        for evaluator in evaluators:
            # pycocotools prints its table to stdout, which belongs to results.
            with contextlib.redirect_stdout(io.StringIO()):
                metrics.update({str(name): float(value) for name, value in evaluator.evaluate().items()})
        metrics.update({name: float(tf.reduce_mean(values)) for name, values in losses.items()})
        return Evaluated(int(self._step.numpy()), images, metrics, figures.classes)

    def evaluate_batch(self, prefix: Path | str) -> None:
        """Evaluates one batch by every evaluator, to see whether that can be done at all."""
        self._restore(str(prefix))
        _, found = self._run(*next(iter(self._dataset)))
        coco.measure_coco(_images({name: found[name].numpy() for name in WANTED if name in found}), self.classes)
        for evaluator in self._other_evaluators():
            evaluator.add_eval_dict(found)
            with contextlib.redirect_stdout(io.StringIO()):
                evaluator.evaluate()

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
            function = tf.function(self._evaluate_batch, autograph=False, input_signature=signature)
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
        return losses, found if self._others else {name: found[name] for name in WANTED if name in found}

    def _other_evaluators(self) -> list[Any]:
        if not self._others:
            return []
        config = type(self._config)()
        config.CopyFrom(self._config)
        config.ClearField("metrics_set")
        config.metrics_set.extend(self._others)
        # pycocotools has no figures by class for upstream to read; `coco` has.
        config.include_metrics_per_category = config.all_metrics_per_category = False
        options = eval_util.evaluator_options_from_eval_config(config)
        return eval_util.get_evaluators(config, self._categories, options)


def _other_metrics(config: PipelineConfig) -> list[str]:
    """The evaluators that a config asks for and `coco` is no stand-in for."""
    asked = list(config.metrics_set)
    if config.parameterized_metric or config.skip_predictions_for_unlabeled_class:
        return asked or [OURS]
    return [name for name in asked if name != OURS]


def _images(found: dict[str, np.ndarray]) -> list[EvaluatedImage]:
    """The images of a batch, without the padding of boxes."""
    crowd = found.get(IN.groundtruth_is_crowd, np.zeros_like(found[IN.groundtruth_classes])).astype(bool)
    images = []
    for at, key in enumerate(found[IN.key].tolist()):
        truth = slice(int(found[IN.num_groundtruth_boxes][at]))
        shown = slice(int(found[OUT.num_detections][at]))
        images.append(
            EvaluatedImage(
                name=found[IN.source_id][at].decode("utf-8", "replace"),
                key=key,
                truth_boxes=found[IN.groundtruth_boxes][at][truth],
                truth_classes=found[IN.groundtruth_classes][at][truth],
                crowd=crowd[at][truth],
                boxes=found[OUT.detection_boxes][at][shown],
                scores=found[OUT.detection_scores][at][shown],
                classes=found[OUT.detection_classes][at][shown],
            )
        )
    return images
