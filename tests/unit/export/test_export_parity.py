"""How far two lists of detections are apart."""

import numpy as np
import pytest

from app.detection.detections import Detections, best_first, of_batch
from app.export import parity

IMAGE = np.zeros((100, 200, 3), np.uint8)
BOXES = np.array([[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9], [0.2, 0.6, 0.3, 0.8]], np.float32)


def detections(boxes=BOXES, scores=(0.9, 0.8, 0.7), classes=(1, 2, 1)) -> Detections:
    """Three detections, or others."""
    return best_first(np.asarray(boxes), np.asarray(scores, np.float32), np.asarray(classes))


def difference(theirs: Detections, ours: Detections | None = None) -> parity.Difference:
    """The difference of `theirs` from the three."""
    return parity.compare_detections([IMAGE], [ours or detections()], [theirs], parity.EXACT)


def test_the_same_detections_do_not_differ():
    """All of them are compared."""
    assert difference(detections()) == parity.Difference(score=0, pixels=0, compared=3, unmatched=0)


def test_equal_scores_may_come_in_any_order():
    """Detections are paired by what they are, not by their rank."""
    ours = detections(scores=(0.9, 0.9, 0.9))
    theirs = Detections(ours.boxes[::-1], ours.scores, ours.classes[::-1])
    assert difference(theirs, ours).within(parity.EXACT)


def test_two_of_a_class_on_one_place_are_paired_with_their_likes():
    """The nearest first, though each could go with the other."""
    twins = BOXES[[0, 0]] + np.float32([[0], [0.004]])
    ours, theirs = detections(twins, (0.9, 0.9), (1, 1)), detections(twins[::-1], (0.9, 0.9), (1, 1))
    assert difference(theirs, ours).pixels == 0


@pytest.mark.parametrize(
    ("theirs", "field"),
    [
        (detections(scores=(0.9, 0.8, 0.6985)), "score"),
        (detections(BOXES + np.float32([[0], [0.006], [0]])), "pixels"),
        (detections(classes=(1, 2, 2)), "unmatched"),
        (detections(BOXES[:2], (0.9, 0.8), (1, 2)), "unmatched"),
        (detections([*BOXES, [0, 0.9, 0.1, 1]], (0.9, 0.8, 0.7, 0.6), (1, 2, 1, 2)), "unmatched"),
        (detections(BOXES[[]], (), ()), "unmatched"),
    ],
    ids=["a score", "a corner", "a class", "one missed", "one invented", "all missed"],
)
def test_what_differs_is_told_and_does_not_pass(theirs, field):
    """A score by more than 0.001, a corner by more than a pixel, a class, one too few or too many."""
    found = difference(theirs)
    assert not found.within(parity.EXACT)
    assert [name for name in ("score", "pixels", "unmatched") if getattr(found, name) > 1e-6] == [field]


def test_pixels_are_those_of_the_image():
    """0.006 of a width of 200 is 1.2 pixels."""
    theirs = detections(BOXES + np.float32([0, 0.006, 0, 0]))
    assert difference(theirs).pixels == pytest.approx(1.2, abs=1e-4)


def test_only_what_is_sure_is_compared_beyond_the_ten_best():
    """A tail of scores near zero has too many equals to be paired."""
    boxes = np.random.default_rng(0).uniform(0, 0.5, (40, 4)).astype(np.float32)
    boxes[:, 2:] += 0.5
    ours = detections(boxes, np.linspace(0.09, 0.001, 40), np.ones(40))
    theirs = detections(boxes[:30], ours.scores[:30], np.ones(30))
    assert difference(theirs, ours).compared == parity.FEWEST
    assert difference(theirs, ours).within(parity.EXACT)


def test_the_worst_of_several_images_counts():
    """And numbers of detections are added."""
    off = detections(scores=(0.9, 0.8, 0.5))
    found = parity.compare_detections([IMAGE] * 2, [detections()] * 2, [detections(), off], parity.EXACT)
    assert (found.compared, round(found.score, 3)) == (6, 0.2)


def test_the_outputs_of_a_batch_become_detections():
    """Cut at the number of detections, sorted by score, clipped to the image."""
    found = {
        "detection_boxes": np.array([[[-0.1, 0, 0.5, 1.2], [0, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, 0, 0]]], np.float32),
        "detection_scores": np.array([[0.2, 0.7], [0.5, 0.0]], np.float32),
        "detection_classes": np.array([[1.0, 2.0], [3.0, 1.0]], np.float32),
        "num_detections": np.array([2.0, 1.0], np.float32),
    }
    first, second = of_batch(found)
    assert first.classes.tolist() == [2, 1]
    assert first.boxes[1].tolist() == [0, 0, 0.5, 1]
    assert second.classes.tolist() == [3]
