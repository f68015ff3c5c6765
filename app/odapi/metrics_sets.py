"""The door to upstream's metrics sets: images one by one, without padding, in the terms of each set."""

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from object_detection import eval_util
from object_detection.core import standard_fields
from object_detection.metrics import coco_evaluation
from object_detection.utils import label_map_util

from app.evaluation import metrics_sets
from app.protos.pipeline_config import PipelineConfig

IN, OUT = standard_fields.InputDataFields, standard_fields.DetectionResultFields
OF_IMAGES = {
    IN.groundtruth_image_classes, IN.groundtruth_image_confidences, IN.groundtruth_labeled_classes,
    IN.groundtruth_verified_neg_classes, IN.groundtruth_not_exhaustive_classes,
}  # fmt: skip
"""Groundtruth of a whole image; all other groundtruth has a row a box."""
MASKS = (IN.groundtruth_instance_masks, OUT.detection_masks)

Image = dict[str, Any]
"""Groundtruth and detections of an image by upstream's names, as arrays."""


def split_batch(found: Mapping[str, np.ndarray]) -> Iterator[Image]:
    """The images of a batch. Boxes are padded to one number and masks to one size there, here no more."""
    for at, key in enumerate(found[IN.key].tolist()):
        truths, shown = int(found[IN.num_groundtruth_boxes][at]), int(found[OUT.num_detections][at])
        image: Image = {IN.key: key, IN.source_id: found[IN.source_id][at]}
        for name, values in found.items():
            if name in OF_IMAGES:
                image[name] = values[at]
            elif name.startswith("groundtruth_"):
                image[name] = values[at][:truths]
            elif name.startswith("detection_"):
                image[name] = values[at][:shown]
            if name in MASKS:
                height, width = found[IN.original_image_spatial_shape][at]
                image[name] = image[name][:, :height, :width]
        yield image


class MetricsSets:
    """Upstream's evaluators for one pass over the images: those of `names`, as `config` sets them up.

    `categories`: `id` and `name` of each class, `keypoints` (name to id) where they have names.
    """

    def __init__(self, config: PipelineConfig, names: Sequence[str], categories: Sequence[Mapping[str, Any]]):
        self._categories = [dict(category) for category in categories]
        self._names = {str(category["id"]): category["name"] for category in categories}
        self._config = config
        self._evaluators = {name: self._build(name) for name in names}
        self._counted = dict.fromkeys(names, 0)
        self._images = 0

    def add(self, image: Image) -> None:
        """Takes an image of `split_batch`."""
        # Not upstream's key, the hash of a name: two images with one would be one.
        self._images += 1
        for name, evaluators in self._evaluators.items():
            told = _in_terms_of(name, image, [category["id"] for category in self._categories])
            self._counted[name] += _count(name, told)
            for evaluator in evaluators:
                if name == metrics_sets.KEYPOINTS:
                    told[OUT.detection_boxes] = _around(told[OUT.detection_keypoints][:, evaluator._keypoint_ids])
                evaluator.add_single_ground_truth_image_info(self._images, told)
                evaluator.add_single_detected_image_info(self._images, told)

    def measure(self) -> dict[str, float]:
        """The figures of all images that were taken; NaN or -1 where there is nothing to measure."""
        found: dict[str, float] = {}
        for name, evaluators in self._evaluators.items():
            if not self._counted[name]:
                # Some of upstream's evaluators stop at that.
                names = metrics_sets.names_of_set(name, self._config, list(self._names.values()))
                found |= dict.fromkeys(names, math.nan)
                continue
            # pycocotools prints its table to stdout, which belongs to results.
            with contextlib.redirect_stdout(io.StringIO()), _quiet():
                for evaluator in evaluators:
                    found |= {self._with_name(figure): float(value) for figure, value in evaluator.evaluate().items()}
        return found

    def _with_name(self, figure: str) -> str:
        """The figure of a class by its name, where it is one by id."""
        start, _, last = figure.rpartition("/")
        return f"{start}/{self._names[last]}" if "PerformanceByCategory" in start else figure

    def _build(self, name: str) -> list[Any]:
        config = self._config
        if name == metrics_sets.KEYPOINTS:
            return list(self._keypoint_evaluators())
        alone = type(config.eval_config)()
        alone.CopyFrom(config.eval_config)
        alone.ClearField("parameterized_metric")
        alone.metrics_set[:] = [name]
        # pycocotools has no figures by class for upstream to read; `coco` has.
        alone.include_metrics_per_category = alone.all_metrics_per_category = False
        # By id: upstream decomposes the letters of a name, and then two classes can have one. Frequency is how often a
        # class is in the training images of LVIS: without it no class is rare.
        categories = [{"frequency": "f", **each, "name": str(each["id"])} for each in self._categories]
        return eval_util.get_evaluators(alone, categories, eval_util.evaluator_options_from_eval_config(alone))

    def _keypoint_evaluators(self) -> Iterator[Any]:
        config = self._config
        sigmas = {
            each.coco_keypoint_metrics.class_label: dict(each.coco_keypoint_metrics.keypoint_label_to_sigmas)
            for each in config.eval_config.parameterized_metric
        }
        known = {category["name"]: category for category in self._categories}
        points = _keypoint_names(config)
        for name in metrics_sets.keypoint_classes(config, known):
            numbers = known[name].get("keypoints") or points.get(name) or {}
            if not numbers:
                numbers = {str(number): number for number in range(config.eval_input_reader[0].num_keypoints)}
            given = sigmas.get(name) or {}
            yield coco_evaluation.CocoKeypointEvaluator(
                known[name]["id"],
                [{"id": number, "name": label} for label, number in numbers.items()],
                name,
                given if set(numbers) <= set(given) else None,
            )


def _keypoint_names(config: PipelineConfig) -> dict[str, dict[str, int]]:
    """The keypoints of each class by name, as CenterNet's own label map has them."""
    path = config.model.center_net.keypoint_label_map_path if config.model.HasField("center_net") else ""
    if not path:
        return {}
    index = label_map_util.create_category_index_from_labelmap(path)
    return {category["name"]: dict(category.get("keypoints") or {}) for category in index.values()}


def _in_terms_of(name: str, image: Image, ids: Sequence[int]) -> Image:
    """The image as the metrics set `name` takes it.

    A box that stands for several objects (crowd, group) is a crowd to COCO, a group to Open Images, and a difficult
    one to PASCAL, which knows neither; LVIS leaves it out and lets the class be incomplete on that image.
    """
    told, several = dict(image), stands_for_several(image)
    none = np.zeros(len(several), bool)
    if name.startswith("oid_"):
        told[IN.groundtruth_group_of] = several
        for field, first in ((IN.groundtruth_image_classes, 1), (IN.groundtruth_labeled_classes, 0)):
            # Upstream reads ids out of what is a flag a class by now.
            if field in told:
                told[field] = np.flatnonzero(told[field]) + first
    elif "coco" in name:
        told[IN.groundtruth_is_crowd] = several
    elif name != metrics_sets.LVIS:
        told[IN.groundtruth_difficult] = np.asarray(image.get(IN.groundtruth_difficult, none)).astype(bool) | several
    if name in ("coco_mask_metrics", metrics_sets.LVIS):
        _tell_masks(told)
    if name == metrics_sets.LVIS:
        _tell_lvis(told, ids)
    return told


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what upstream says of classes that have no groundtruth, every time: their figures say it."""

    def is_shown(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING

    logging.root.addFilter(is_shown)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of a mean of nothing
            yield
    finally:
        logging.root.removeFilter(is_shown)


def _count(name: str, told: Image) -> int:
    """How many groundtruth boxes of an image the metrics set `name` looks for, at least."""
    counted = np.ones(len(told[IN.groundtruth_classes]), bool)
    if "pascal" in name:
        counted &= ~told[IN.groundtruth_difficult]
    if "pascal_voc_instance" in name:
        counted &= told[IN.groundtruth_instance_masks].any(axis=(1, 2))
    return int(counted.sum())


def _around(points: np.ndarray) -> np.ndarray:
    """The boxes [n, 4] around keypoints [n, k, 2]: what COCO takes for the size of a detection."""
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)


def stands_for_several(image: Mapping[str, np.ndarray]) -> np.ndarray:
    """bool [n]: which groundtruth boxes are around several objects."""
    flags = [image[name].astype(bool) for name in (IN.groundtruth_is_crowd, IN.groundtruth_group_of) if name in image]
    return np.any(flags, axis=0) if flags else np.zeros(len(image[IN.groundtruth_classes]), bool)


def _tell_masks(told: Image) -> None:
    """Areas are those of the masks. A box without a mask is a crowd that fills it: neither hit nor miss."""
    masks = (told[IN.groundtruth_instance_masks] > 0).astype(np.uint8)
    areas = masks.sum(axis=(1, 2), dtype=np.int64)
    crowd = np.array(told.get(IN.groundtruth_is_crowd, stands_for_several(told)), bool)
    for at in np.flatnonzero(areas == 0):
        top, left, bottom, right = np.round(told[IN.groundtruth_boxes][at]).astype(int)
        masks[at, max(top, 0) : bottom, max(left, 0) : right] = 1
        crowd[at] = True
    told[IN.groundtruth_instance_masks], told[IN.groundtruth_is_crowd] = masks, crowd
    told[IN.groundtruth_area] = areas.astype(np.float32)


def _tell_lvis(told: Image, ids: Sequence[int]) -> None:
    """Without LVIS's own lists, a class that is not on an image is known not to be there."""
    crowd, classes = told[IN.groundtruth_is_crowd], told[IN.groundtruth_classes]
    negative, partial = np.zeros(len(ids) + 1), np.zeros(len(ids) + 1)
    for field, flags in (
        (IN.groundtruth_verified_neg_classes, negative),
        (IN.groundtruth_not_exhaustive_classes, partial),
    ):
        if field in told:
            flags[:] = told[field]
    if not negative.any() and not partial.any():
        negative[[number for number in ids if number not in classes]] = 1
    partial[np.unique(classes[crowd])] = 1
    told[IN.groundtruth_verified_neg_classes], told[IN.groundtruth_not_exhaustive_classes] = negative, partial
    for name in [name for name in told if name.startswith("groundtruth_") and name not in OF_IMAGES]:
        told[name] = told[name][~crowd]
    # One that hits nothing, last of all: the package stops where there is none.
    none = {
        OUT.detection_masks: np.zeros((1, *told[OUT.detection_masks].shape[1:]), np.uint8),
        OUT.detection_scores: np.zeros(1, np.float32),
        OUT.detection_classes: np.array(ids[:1]),
    }
    told |= {name: np.concatenate([told[name], values]) for name, values in none.items()}
