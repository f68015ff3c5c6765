"""Label map and metadata next to a model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.run.directory import BEST_CARD, CARD, LABEL_MAP
from app.run.files import read_object
from app.run.lenient_json import listed, mapping, number

LABEL_MAPS = (LABEL_MAP, "*label*map*.pbtxt")
CARDS = (CARD, BEST_CARD)
TFLITE_LABELS = "labelmap.txt"
"""The file inside a `.tflite` model, as in a zip archive, with a class a line: the first is class 0."""


def label_map(model: Path) -> Path | None:
    """The label map beside `model` (file, folder or checkpoint prefix): of the usual name, or the only one there."""
    for folder in _folders(model):
        for pattern in LABEL_MAPS:
            found = sorted(folder.glob(pattern))
            if len(found) == 1:
                return found[0]
    return None


def cards(model: Path) -> Iterator[dict[str, Any]]:
    """The cards beside `model`, of an export, a promotion or the best checkpoint, nearest first."""
    for folder in _folders(model):
        for name in CARDS:
            if card := read_object(folder / name):
                yield card


def names_of_card(card: Mapping[str, Any]) -> dict[int, str]:
    """Class ids to names, of a card's `classes`: names in order from 1, or by id; empty where it has none."""
    classes = card.get("classes")
    if isinstance(classes, list):
        return {number: str(name) for number, name in enumerate(classes, start=1)}
    if isinstance(classes, dict):
        return {int(number): str(name) for number, name in classes.items() if str(number).isdecimal()}
    return {}


def thresholds_of_card(card: Mapping[str, Any]) -> dict[str, float]:
    """The F1-optimal score of each class by its name, of the `details` that an evaluation left; empty without."""
    rows = map(mapping, listed(mapping(card.get("details")).get("classes")))
    return {
        str(row["name"]): float(value)
        for row in rows
        if "name" in row and (value := number(row.get("f1_threshold"))) is not None
    }


def _folders(model: Path) -> Iterator[Path]:
    """Where what belongs to `model` is put: its folder; above it, for folders that are a part of an export."""
    folder = model if model.is_dir() else model.parent
    yield folder
    yield folder / "assets.extra"
    if folder.name in ("saved_model", "checkpoint"):
        yield folder.parent
