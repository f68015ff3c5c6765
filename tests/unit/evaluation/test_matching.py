"""Which detection is which groundtruth box."""

import numpy as np
from scenes import image

from app.evaluation.matching import FREE, ON_CROWD, count_errors, iou_matrix, match_detections

HERE, NEAR, THERE = (0, 0, 100, 100), (0, 0, 100, 90), (200, 200, 300, 300)


def test_iou_of_boxes():
    """Half of one box on another, and with a crowd the part of the detection on it."""
    boxes = np.array([(0, 0, 10, 10)], np.float32)
    truth = np.array([(0, 5, 10, 15), (0, 5, 10, 15), (50, 50, 60, 60)], np.float32)
    np.testing.assert_allclose(iou_matrix(boxes, truth, np.array([False, True, False])), [[1 / 3, 0.5, 0]])


def test_the_better_score_takes_the_box():
    """The second detection of one box is none; the order of the detections does not matter."""
    seen = match_detections(image([(1, HERE)], [(1, HERE, 0.3), (1, NEAR, 0.8)]), 1, 0.5)
    assert seen.found.tolist() == [1, 0]
    assert seen.hits.tolist() == [0, FREE]


def test_a_crowd_takes_any_number_of_detections_and_counts_none():
    """It is never a false negative; a single box goes before it."""
    seen = match_detections(
        image([(1, HERE), (1, THERE)], [(1, HERE, 0.9), (1, NEAR, 0.8), (1, THERE, 0.7)], crowd=[0]), 1, 0.5
    )
    assert seen.hits.tolist() == [ON_CROWD, ON_CROWD, 1]
    assert seen.truth.tolist() == [1]


def errors(seen, score=0.5):
    matches = {class_id: match_detections(seen, class_id, 0.5) for class_id in (1, 2)}
    return count_errors(seen, matches, dict.fromkeys(matches, score), 0.5)


def test_every_box_is_counted_once():
    """Rows add up to groundtruth, columns to detections."""
    seen = image(
        [(1, HERE), (1, THERE), (2, (400, 400, 500, 500)), (2, (0, 400, 50, 500))],
        [(1, NEAR, 0.9), (2, THERE, 0.8), (2, (600, 0, 650, 50), 0.7), (2, (400, 400, 500, 500), 0.1)],
    )
    found = errors(seen)
    assert found.matrix.tolist() == [[1, 1, 0], [0, 0, 2], [0, 1, 0]]
    assert (found.true_positives, found.misclassified, found.false_negatives, found.false_positives) == (1, 1, 2, 1)


def test_its_own_class_goes_before_a_better_score_of_another():
    """A confident dog on a cat that was found as a cat is a false positive of dog, not a false negative of cat."""
    found = errors(image([(1, HERE)], [(2, HERE, 0.99), (1, NEAR, 0.6)]))
    assert found.matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_a_detection_on_a_crowd_is_no_false_positive():
    """Nor is the crowd a false negative."""
    assert errors(image([(1, HERE)], [(1, HERE, 0.9)], crowd=[0])).matrix.sum() == 0
