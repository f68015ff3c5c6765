"""COCO's figures, against pycocotools."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scenes import CLASSES, image, scene

from app.evaluation import coco
from app.evaluation.details import describe_evaluation


def reference(images) -> COCOeval:
    """pycocotools on `images` in the order of their keys."""
    ordered = sorted(images, key=lambda each: each.key)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": number} for number in range(1, len(ordered) + 1)],
            "categories": [{"id": number, "name": name} for number, name in CLASSES.items()],
            "annotations": [
                {
                    "id": 1000 * number + at, "image_id": number, "category_id": int(each.truth_classes[at]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": int(each.crowd[at]),
                }
                for number, each in enumerate(ordered, 1)
                for at, (y0, x0, y1, x1) in enumerate(each.truth_boxes.astype(float))
            ],
        }  # fmt: skip
        truth.createIndex()
        found = truth.loadRes(
            [
                {
                    "image_id": number, "category_id": int(each.classes[at]), "score": float(each.scores[at]),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                }
                for number, each in enumerate(ordered, 1)
                for at, (y0, x0, y1, x1) in enumerate(each.boxes.astype(float))
            ]
        )  # fmt: skip
        evaluator = COCOeval(truth, found, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


@pytest.mark.parametrize("seed", [1, 2])
def test_figures_and_curves_are_those_of_pycocotools(seed):
    """All twelve, AP and AR by class, and the curve at IoU 0.5: with crowds, equal scores, and over 100 detections."""
    images = scene(seed)
    wanted, found = reference(images), coco.measure_coco(images, CLASSES)
    assert wanted.stats[0] > 0.05
    np.testing.assert_allclose([found.metrics[name] for name in coco.NAMES], wanted.stats, atol=1e-6)
    precision, recall = wanted.eval["precision"][..., 0, 2], wanted.eval["recall"][..., 0, 2]
    details, _ = describe_evaluation(images, CLASSES, found.classes, iou=0.5, score=None)
    for at, class_id in enumerate((1, 2, 3)):
        figures = found.classes[class_id]
        wanted_figures = (precision[:, :, at].mean(), precision[0, :, at].mean(), recall[:, at].mean())
        np.testing.assert_allclose((figures.ap, figures.ap50, figures.ar), wanted_figures, atol=1e-6)
        np.testing.assert_allclose(details["classes"][at]["curve"], precision[0, :, at], atol=5.1e-5)


def test_a_class_without_groundtruth_has_no_figures():
    """Neither -1 in the details, nor a metric of its own."""
    found = coco.measure_coco(scene(1, images=5), CLASSES)
    assert found.classes[4] == coco.ClassMetrics(None, None, None)
    assert coco.PER_CLASS + "cat" in found.metrics
    assert coco.PER_CLASS + "never there" not in found.metrics


@pytest.mark.parametrize("truth", [[], [(1, (0, 0, 9, 9))]])
def test_a_model_that_finds_nothing_is_measured(truth):
    """0 where there was something to find, upstream's -1 where there was not."""
    found = coco.measure_coco([image(truth)], CLASSES)
    assert found.metrics["DetectionBoxes_Precision/mAP"] == (0.0 if truth else -1.0)
