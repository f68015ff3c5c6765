"""The card of a prepared data set: what went into the records, and what was wrong with it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.dataset.faults import FIXED, FaultCount
from app.run.directory import DATASET_CARD
from app.run.files import read_json
from app.run.lenient_json import with_current_keys


@dataclass(frozen=True)
class SplitCard:
    """One of the two splits.

    `source` is its name in the set, `records` a glob relative to the folder of records,
    `most_boxes` the number of boxes on the fullest image, `crowds` the number of boxes around several objects,
    which no evaluation counts, `difficult` that of the others that PASCAL's does not; None in cards of older versions.
    """

    source: str
    images: int
    images_without_boxes: int
    boxes: int
    boxes_per_class: dict[str, int]
    most_boxes: int
    shards: int
    records: str
    crowds: int | None = None
    difficult: int | None = None


@dataclass(frozen=True)
class Card:
    """What `prepare` made. `classes[i]` has the id `i + 1`. `splits` has `train` and `eval`.

    `fingerprint` stands for the contents of the set and the arguments, wherever it lies; `state` for the very
    files on this disk, times included. `masks`: boxes have instance masks. `keypoints`: how many a box has.
    """

    source: str
    format: str
    reason: str
    classes: tuple[str, ...]
    splits: dict[str, SplitCard]
    faults: tuple[FaultCount, ...]
    arguments: dict[str, Any]
    fingerprint: str
    state: str
    masks: bool = False
    keypoints: int = 0

    @property
    def class_names(self) -> dict[int, str]:
        """Class ids, from 1, to names."""
        return dict(enumerate(self.classes, start=1))

    @property
    def train(self) -> SplitCard:
        return self.splits["train"]

    @property
    def eval(self) -> SplitCard:
        return self.splits["eval"]

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def from_json(value: Any) -> Card | None:
    """The card of what `to_json` gave, or None if it is no such thing (an older detbox wrote it)."""
    try:
        return Card(
            **{
                **value,
                "classes": tuple(value["classes"]),
                "splits": {name: _split_card(split) for name, split in value["splits"].items()},
                "faults": tuple(map(_fault_count, value["faults"])),
            }
        )
    except (TypeError, KeyError, AttributeError):
        return None


def _fault_count(row: dict[str, Any]) -> FaultCount:
    action = FIXED if row["action"] == "mended" else row["action"]  # as older versions called it
    return FaultCount(row["kind"], action, row["count"], tuple(row["examples"]))


def _split_card(split: dict[str, Any]) -> SplitCard:
    by_class = {"boxes_per_class": split["boxes_per_class"]}  # its keys are names of classes
    return SplitCard(**with_current_keys(split) | by_class)


def read(records: Path) -> Card | None:
    """The card in a folder of records, or None."""
    return from_json(read_json(records / DATASET_CARD))
