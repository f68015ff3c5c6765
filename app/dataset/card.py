"""The card of a prepared data set: what went into the records, and what was wrong with it."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.dataset.faults import FIXED, FaultCount
from app.dataset.records import RecordFile
from app.run.directory import DATASET_CARD
from app.run.files import read_object
from app.run.lenient_json import Schema, count, file_name, listed, mapping, text, with_current_keys


@dataclass(frozen=True)
class SplitCard:
    """One of the two splits.

    `source` is its name in the set, `records` a glob relative to the folder of records,
    `most_boxes` the number of boxes on the fullest image, `crowds` the number of boxes around several objects,
    which no evaluation counts, `difficult` that of the others that PASCAL's does not, `files` what each record file
    held when it was written; None in cards of older versions.
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
    files: tuple[RecordFile, ...] | None = None

    @property
    def record_bytes(self) -> int:
        """Bytes of a record on average; 0 where the files are not known."""
        return sum(file.bytes for file in self.files or ()) // max(self.images, 1)


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
    return _card(CARD.fit(value))


def _card(typed: dict[str, Any] | None) -> Card | None:
    try:
        return Card(**typed) if typed else None
    except TypeError:  # It has a key of another version.
        return None


def _splits(value: Any) -> dict[str, SplitCard] | None:
    cards = {name: _split_card(split) for name, split in mapping(value).items()}
    known = {name: card for name, card in cards.items() if card}
    return known if known == cards and {"train", "eval"} <= known.keys() and known["train"].images else None


def _split_card(value: Any) -> SplitCard | None:
    # The keys of one part are names of classes.
    split = with_current_keys(value) | {"boxes_per_class": value.get("boxes_per_class")} if mapping(value) else None
    typed = SPLIT.fit(split)
    try:
        return SplitCard(**typed) if typed else None
    except TypeError:
        return None


def _faults(value: Any) -> tuple[FaultCount, ...] | None:
    rows = [FAULT.fit(row) for row in listed(value)]
    known = [row for row in rows if row]
    return tuple(_fault_count(row) for row in known) if len(known) == len(rows) else None


def _fault_count(row: dict[str, Any]) -> FaultCount:
    action = FIXED if row["action"] == "mended" else row["action"]  # as older versions called it
    return FaultCount(row["kind"], action, row["count"], row["examples"])


def _files(value: Any) -> tuple[RecordFile, ...] | None:
    rows = [RECORD_FILE.fit(row) for row in listed(value)]
    known = [RecordFile(**{key: row[key] for key in RECORD_FILE.required}) for row in rows if row]
    return tuple(known) if known and len(known) == len(rows) else None


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(value) if isinstance(value, list | tuple) and all(isinstance(held, str) for held in value) else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _boxes(value: Any) -> dict[str, int] | None:
    found = {name: count(held) for name, held in mapping(value).items()}
    return {name: held for name, held in found.items() if held is not None}


FAULT = Schema(
    {"kind": _string, "action": _string, "count": count, "examples": _texts},
    required=("kind", "action", "count", "examples"),
)
RECORD_FILE = Schema(
    {"name": file_name, "records": count, "bytes": count, "sha256": text},
    required=("name", "records", "bytes", "sha256"),
)
SPLIT = Schema(
    {
        "source": _string,
        "images": count,
        "images_without_boxes": count,
        "boxes": count,
        "boxes_per_class": _boxes,
        "most_boxes": count,
        "shards": count,
        "records": file_name,
        "crowds": count,
        "difficult": count,
        "files": _files,
    }
)
CARD = Schema(
    {
        "source": _string,
        "format": _string,
        "reason": _string,
        "classes": _texts,
        "splits": _splits,
        "faults": _faults,
        "arguments": mapping,
        "fingerprint": _string,
        "state": _string,
        "masks": _flag,
        "keypoints": count,
    },
    required=("source", "format", "reason", "classes", "splits", "faults", "arguments", "fingerprint", "state"),
)


def read(records: Path) -> Card | None:
    """The card in a folder of records, or None."""
    return _card(read_object(records / DATASET_CARD, CARD))
