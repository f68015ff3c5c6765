"""The details of an evaluation."""

import json

import numpy as np
import pytest
from scenes import CLASSES, image, scene

from app.evaluation import coco
from app.evaluation.details import LISTED, describe_evaluation

HERE, THERE = (0, 0, 100, 100), (200, 200, 300, 300)


def details(images, *, score=None, iou=0.5):
    return describe_evaluation(images, CLASSES, coco.measure_coco(images, CLASSES).classes, iou=iou, score=score)[0]


def by_hand(images, class_id, score, iou=0.5):
    """Precision and recall of a class counted from `score` on, the slow way."""
    right = shown = groundtruth = 0
    for each in images:
        free = [at for at in range(len(each.truth_classes)) if each.truth_classes[at] == class_id]
        groundtruth += len(free)
        for at in np.argsort(-each.scores, kind="stable"):
            if each.classes[at] == class_id and each.scores[at] >= score:
                shown += 1
                near = [(area(each.boxes[at], each.truth_boxes[g]), g) for g in free]
                if near and max(near)[0] >= iou:
                    right += 1
                    free.remove(max(near)[1])
    return right / shown, right / groundtruth


def area(a, b):
    height, width = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if height <= 0 or width <= 0:
        return 0.0
    each = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return height * width / (sum(each) - height * width)


def test_the_threshold_is_that_of_the_highest_f1():
    """No other score gives a higher one, and precision and recall are what is counted from it on."""
    images = [each for each in scene(3) if not each.crowd.any() and len(each.classes) < 100]
    row = details(images)["classes"][0]
    precision, recall = by_hand(images, 1, row["f1_threshold"])
    assert (row["precision"], row["recall"]) == pytest.approx((precision, recall))
    assert row["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    for score in np.linspace(0.05, 0.95, 19):
        precision, recall = by_hand(images, 1, score)
        assert 2 * precision * recall <= (row["f1"] + 1e-9) * (precision + recall)


def test_the_threshold_lies_between_two_scores():
    """A last digit that another form of the model gets differently decides nothing."""
    seen = image([(1, HERE)], [(1, HERE, 0.8), (1, THERE, 0.4)])
    row = details([seen])["classes"][0]
    assert row["f1_threshold"] == pytest.approx(0.6)
    assert (row["f1"], row["precision"], row["recall"], row["false_negatives"], row["false_positives"]) == (
        1,
        1,
        1,
        0,
        0,
    )


def test_a_score_that_was_asked_for_counts_instead():
    """The matrix and the counts change with it, the best threshold does not."""
    seen = image([(1, HERE)], [(1, HERE, 0.8), (1, THERE, 0.4)])
    found = details([seen], score=0.3)
    row = found["classes"][0]
    assert (found["score"], row["false_positives"], row["f1_threshold"]) == (0.3, 1, pytest.approx(0.6))


def test_the_iou_that_was_asked_for_counts():
    """A box that is half off is right at 0.3 and wrong at 0.9."""
    seen = image([(1, (0, 0, 100, 100))], [(1, (0, 0, 100, 60), 0.8)])
    assert [details([seen], iou=iou)["classes"][0]["f1"] for iou in (0.3, 0.9)] == [1.0, 0.0]


def test_the_matrix_adds_up():
    """Its rows are the groundtruth, its diagonal the recall at the threshold; nothing is -1."""
    found = details(scene(4))
    matrix = np.array(found["confusion"]["matrix"])
    assert found["confusion"]["labels"] == [*CLASSES.values(), "background"]
    for at, row in enumerate(found["classes"]):
        assert matrix[at].sum() == row["groundtruth"]
        assert (row["false_negatives"], row["false_positives"]) == (matrix[at, -1], matrix[-1, at])
        if row["groundtruth"]:
            assert matrix[at, at] / row["groundtruth"] == pytest.approx(row["recall"])
            assert len(row["curve"]) == 101
    assert {name: value for name, value in found["classes"][3].items() if value is not None} == {
        "name": "never there", "groundtruth": 0, "false_negatives": 0, "false_positives": 0, "misclassified": 0,
    }  # fmt: skip
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_worst_and_the_best_images():
    """Most errors first; fewest first, and of those the ones with most true positives."""
    images = [
        image([(1, HERE)], [], name="false_negatives"),
        image([(1, HERE)], [(1, HERE, 0.9), (1, THERE, 0.95), (2, THERE, 0.9)], name="bad"),
        image([], [], name="empty"),
        image([(1, HERE), (1, THERE)], [(1, HERE, 0.9), (1, THERE, 0.9)], name="good"),
    ]
    listed = details(images, score=0.5)["images"]
    assert [row["name"] for row in listed["worst"]] == ["bad", "false_negatives", "empty", "good"]
    assert [row["name"] for row in listed["best"]] == ["good", "empty", "false_negatives", "bad"]
    assert listed["worst"][1] == {
        "name": "false_negatives",
        "false_negatives": 1,
        "false_positives": 0,
        "misclassified": 0,
        "true_positives": 0,
    }
    assert len(details(scene(1))["images"]["worst"]) == LISTED
