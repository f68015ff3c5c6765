"""The details of one evaluation: its classes, confusion matrix and curves, read tolerantly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.run.directory import Run
from app.run.evaluations import read_details
from app.run.lenient_json import count, listed, mapping, number


@dataclass(frozen=True)
class ClassFigures:
    """One class. `confused`: boxes taken for another class, which are not among the missed.

    None is what could not be measured, such as the AP of a class without groundtruth.

    `precision` and `recall` are those at `f1_threshold`, the score with the highest F1. `curve` has the precision at
    recall 0, 0.01 .. 1.
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
    missed: int | None
    invented: int | None
    confused: int | None
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Confusion:
    """Rows are groundtruth, columns detections; the last row is what was invented, the last column what was missed."""

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


def find(run: Run, steps: Sequence[int], best_card: Mapping[str, Any], best_step: int | None) -> Details | None:
    """The details of the best checkpoint, else of the newest evaluation that has any; `steps`: those evaluated."""
    kept = count(best_card.get("step"))
    for step in (best_step, kept, *reversed(steps)):
        if step is not None:
            found = mapping(best_card.get("details")) if step == kept else {}
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


SHARES = ("ap", "ap50", "ar", "f1_threshold", "f1", "precision", "recall")
COUNTS = ("groundtruth", "missed", "invented", "confused")


def _class(row: Mapping[str, Any]) -> ClassFigures:
    shares = {name: number(row.get(name)) for name in SHARES}
    values = [number(value) for value in listed(row.get("curve"))]
    return ClassFigures(
        name=str(row.get("name", "")),
        # COCO says -1 where there is nothing to measure on.
        **{name: None if value is None or value < 0 else value for name, value in shares.items()},
        **{name: count(row.get(name)) for name in COUNTS},
        curve=tuple(values) if values and all(value is not None and value >= 0 for value in values) else (),
    )


def _confusion(found: Mapping[str, Any]) -> Confusion | None:
    """The matrix, if it is a square of counts with a label to each row."""
    labels = tuple(str(label) for label in listed(found.get("labels")))
    matrix = tuple(tuple(count(value) for value in listed(row)) for row in listed(found.get("matrix")))
    is_square = labels and len(matrix) == len(labels) and all(len(row) == len(labels) for row in matrix)
    if not is_square or any(value is None or value < 0 for row in matrix for value in row):
        return None
    return Confusion(labels, matrix)
