"""The details of one evaluation: its classes, confusion matrix and curves, whichever version wrote them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.run.directory import Run
from app.run.evaluations import read_details
from app.run.lenient_json import count, listed, mapping, number


@dataclass(frozen=True)
class ClassFigures:
    """One class. `misclassified`: boxes taken for another class, which are not among the false negatives.

    None: not measured, such as the AP of a class without groundtruth. `precision` and `recall` are those at
    `f1_threshold`, the score with the highest F1. `curve` has the precision at recall 0, 0.01 .. 1.
    """

    name: str
    groundtruth: int | None
    ap: float | None
    ap50: float | None
    ar: float | None
    f1_threshold: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    false_negatives: int | None
    false_positives: int | None
    misclassified: int | None
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Confusion:
    """Rows are groundtruth, columns detections; the last row is false positives, the last column false negatives."""

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Details:
    """The details of the checkpoint of `step`; `score` None: each class at its own `f1_threshold`."""

    step: int
    iou: float | None
    score: float | None
    classes: tuple[ClassFigures, ...]
    confusion: Confusion | None


def find_details(run: Run, steps: Sequence[int], best_card: Mapping[str, Any], best_step: int | None) -> Details | None:
    """The details of the best checkpoint, else of the newest evaluation that has any; `steps`: those evaluated."""
    kept = best_card.get("step")
    for step in (best_step, kept, *reversed(steps)):
        if step is not None:
            found = best_card.get("details", {}) if step == kept else {}
            found = found or read_details(run, step)
            if found:
                return _details(step, found)
    return None


def _details(step: int, found: Mapping[str, Any]) -> Details:
    return Details(
        step=step,
        iou=number(found.get("iou")),
        score=number(found.get("score")),
        classes=tuple(_class(row) for row in map(mapping, listed(found.get("classes"))) if row),
        confusion=_confusion(mapping(found.get("confusion"))),
    )


def _class(row: Mapping[str, Any]) -> ClassFigures:
    values = [number(value) for value in listed(row.get("curve"))]
    curve = tuple(value for value in values if value is not None and value >= 0)
    return ClassFigures(
        name=str(row.get("name", "")),
        groundtruth=count(row.get("groundtruth")),
        ap=_share(row, "ap"),
        ap50=_share(row, "ap50"),
        ar=_share(row, "ar"),
        f1_threshold=_share(row, "f1_threshold"),
        f1=_share(row, "f1"),
        precision=_share(row, "precision"),
        recall=_share(row, "recall"),
        false_negatives=count(row.get("false_negatives")),
        false_positives=count(row.get("false_positives")),
        misclassified=count(row.get("misclassified")),
        curve=curve if len(curve) == len(values) else (),
    )


def _share(row: Mapping[str, Any], name: str) -> float | None:
    """A figure of 0 or more; COCO's -1 means that there was nothing to measure."""
    value = number(row.get(name))
    return None if value is None or value < 0 else value


def _confusion(found: Mapping[str, Any]) -> Confusion | None:
    """The matrix, if it is a square of counts with a label to each row."""
    labels = tuple(str(label) for label in listed(found.get("labels")))
    read = [[count(value) for value in listed(row)] for row in listed(found.get("matrix"))]
    matrix = tuple(tuple(value for value in row if value is not None and value >= 0) for row in read)
    is_square = bool(labels) and len(matrix) == len(labels) and all(len(row) == len(labels) for row in matrix)
    return Confusion(labels, matrix) if is_square and all(len(row) == len(labels) for row in read) else None
