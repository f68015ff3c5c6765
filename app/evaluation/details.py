"""The details of one evaluation by class: curve, best threshold, false negatives and positives, misclassified boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.evaluation.coco import ClassMetrics
from app.evaluation.matching import FREE, ClassMatches, Errors, EvaluatedImage, count_errors, match_detections

RECALLS = np.linspace(0.0, 1.0, 101)
UNDECIDED_SCORE = 0.4
"""The threshold of a class without a best one, because it has no true positive."""
LISTED = 12
"""Images named as the worst, and as the best."""


@dataclass(frozen=True)
class Curve:
    """Precision at each of `RECALLS` as COCO draws it, to 4 digits; and the score with the highest F1.

    Without groundtruth or true positives of the class, what can't be computed is None.
    """

    groundtruth: int
    precision: list[float] | None
    threshold: float | None
    f1: float | None
    precision_there: float | None
    recall_there: float | None


def describe_evaluation(
    images: Sequence[EvaluatedImage],
    classes: Mapping[int, str],
    figures: Mapping[int, ClassMetrics],
    *,
    iou: float,
    score: float | None,
) -> tuple[dict[str, Any], list[Errors]]:
    """The content of `evaluations/STEP.json` (docs/evaluation.md), and the errors on each of `images`.

    `classes`: id to name. Detections count from `score` on; None: from the score with the class's highest F1.
    """
    ordered = sorted(range(len(images)), key=lambda at: images[at].key)
    matches = [{class_id: match_detections(image, class_id, iou) for class_id in classes} for image in images]
    curves = {class_id: _curve([(images[at], matches[at][class_id]) for at in ordered]) for class_id in classes}
    thresholds = {class_id: _counted_from(curve, score) for class_id, curve in curves.items()}
    errors = [count_errors(image, found, thresholds, iou) for image, found in zip(images, matches, strict=True)]
    matrix = np.sum([error.matrix for error in errors], axis=0) if errors else np.zeros((len(classes) + 1,) * 2, int)
    rows = [
        _row(name, curves[class_id], figures[class_id], matrix, at)
        for at, (class_id, name) in enumerate(classes.items())
    ]
    return {
        "iou": iou,
        "score": score,
        "classes": rows,
        "confusion": {"labels": [*classes.values(), "background"], "matrix": matrix.tolist()},
        "images": {
            "worst": _listed(images, errors, sort_worst_first(images, errors)),
            "best": _listed(images, errors, sort_best_first(images, errors)),
        },
    }, errors


def sort_worst_first(images: Sequence[EvaluatedImage], errors: Sequence[Errors]) -> list[int]:
    """Indices of the images, those with the most errors first."""
    return sorted(range(len(images)), key=lambda at: (-_count(errors[at]), images[at].name))


def sort_best_first(images: Sequence[EvaluatedImage], errors: Sequence[Errors]) -> list[int]:
    """Indices of the images, those with the fewest errors first, and of these those with the most true positives."""
    return sorted(range(len(images)), key=lambda at: (_count(errors[at]), -errors[at].true_positives, images[at].name))


def _count(errors: Errors) -> int:
    return errors.false_negatives + errors.false_positives + errors.misclassified


def _listed(images: Sequence[EvaluatedImage], errors: Sequence[Errors], order: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {
            "name": images[at].name,
            "false_negatives": errors[at].false_negatives,
            "false_positives": errors[at].false_positives,
            "misclassified": errors[at].misclassified,
            "true_positives": errors[at].true_positives,
        }
        for at in order[:LISTED]
    ]


def _counted_from(curve: Curve, score: float | None) -> float:
    if score is not None:
        return score
    return UNDECIDED_SCORE if curve.threshold is None else curve.threshold


def _row(name: str, curve: Curve, figures: ClassMetrics, matrix: np.ndarray, at: int) -> dict[str, Any]:
    return {
        "name": name,
        "groundtruth": curve.groundtruth,
        "ap": figures.ap,
        "ap50": figures.ap50,
        "ar": figures.ar,
        "f1_threshold": curve.threshold,
        "f1": curve.f1,
        "precision": curve.precision_there,
        "recall": curve.recall_there,
        "false_negatives": int(matrix[at, -1]),
        "false_positives": int(matrix[-1, at]),
        "misclassified": int(matrix[at, :-1].sum() - matrix[at, at]),
        "curve": curve.precision,
    }


def _curve(matches: Sequence[tuple[EvaluatedImage, ClassMatches]]) -> Curve:
    """The curve of one class over all images, in their order."""
    groundtruth = sum(len(matched.truth) for _, matched in matches)
    if not groundtruth:
        return Curve(0, None, None, None, None, None)
    hits = np.concatenate([matched.hits for _, matched in matches])
    scores = np.concatenate([image.scores[matched.found] for image, matched in matches]).astype(np.float64)
    counts = hits >= FREE
    hits, scores = hits[counts], scores[counts]
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    right = np.cumsum(hits[order] >= 0)
    shown = np.arange(1, len(scores) + 1)
    recall, precision = right / groundtruth, right / (shown + np.spacing(1))
    return Curve(groundtruth, _drawn(recall, precision), *_best_cut(scores, right, shown, groundtruth))


def _drawn(recall: np.ndarray, precision: np.ndarray) -> list[float]:
    """At each of RECALLS the best precision with that recall or more, 0 beyond (COCOeval.accumulate)."""
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return [round(float(falling[i]), 4) if i < len(falling) else 0.0 for i in at]


def _best_cut(
    scores: np.ndarray, right: np.ndarray, shown: np.ndarray, groundtruth: int
) -> tuple[float | None, float | None, float | None, float | None]:
    """Threshold, F1, precision and recall where F1 is highest.

    The threshold lies in the middle between the last score that counts and the next, so that the last digits of a
    score, which differ between forms of a model, decide nothing.
    """
    if not len(scores) or not right[-1]:
        return None, 0.0, None, 0.0
    below = np.append(scores[1:], 0.0)
    f1 = np.where(below < scores, 2 * right / (shown + groundtruth), -1.0)
    at = int(np.argmax(f1))
    return (
        float((scores[at] + below[at]) / 2),
        float(f1[at]),
        float(right[at] / shown[at]),
        float(right[at] / groundtruth),
    )
