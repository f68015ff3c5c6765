"""The classes of a set of records: of its label maps, of detbox's own card, or of what the records say."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app import text_files
from app.dataset import card as cards
from app.dataset import example, faults, label_resolver, records
from app.dataset.faults import FIXED, KEPT, Fault
from app.dataset.image_index import name_in, root_of, walk
from app.dataset.label_resolver import LabelResolver
from app.errors import DatasetError
from app.protos import label_map
from app.protos.label_map import LabelMap
from app.protos.label_map_text import LabelMapError
from app.run.directory import DATASET_CARD, LABEL_MAP

Pair = tuple[bytes, int | None]
TEXT, NUMBER = "image/object/class/text", "image/object/class/label"


def label_maps(source: Path) -> list[Path]:
    """Label maps in the set's folder, else the one beside it, where a run keeps its own."""
    root = root_of(source)
    # Windows hides a second ending.
    hidden = [path for path in walk(root, {".txt"}) if path.name.lower().endswith(".pbtxt.txt")]
    return [*walk(root, {".pbtxt"}), *hidden] or sorted(root.parent.glob(LABEL_MAP))


class RecordClasses:
    """The classes of the records `files`, below `source`; what was amiss is in `faults`. Raises DatasetError."""

    def __init__(self, source: Path, files: Sequence[Path]):
        self.source, self._files = source, files
        self.faults: list[Fault] = []
        self._root = root_of(source)
        self._words: list[str] = []
        self.resolver = self._resolver()

    def find(self, said: Any, number: int | None, where: str) -> tuple[str, Fault | None]:
        """As `LabelResolver.find` of a text as it is stored."""
        return self.resolver.find(self.text(said), number, where)

    def text(self, said: Any) -> str:
        """A stored text, whatever its encoding, in one line."""
        if not isinstance(said, bytes):
            return ""
        try:
            text = said.decode("utf-8")
        except UnicodeError:
            text = self._foreign_texts[said]
        return " ".join(text.strip("\0").split())

    def _resolver(self) -> LabelResolver:
        maps: dict[Path, LabelMap] = {}
        for path in label_maps(self.source):
            found = self._label_map(path)
            if found.items:
                maps[path] = found
        different = {
            tuple(sorted((item.number, item.name) for item in found.items if item.number is not None)): path
            for path, found in maps.items()
        }
        if len(different) > 1:
            raise DatasetError(
                f"label maps that differ: {', '.join(path.name for path in maps)}",
                where=str(self.source),
                remedy="leave only the one that the records were made with",
            )
        for path in different.values():
            return self._of_map(path, maps[path])
        card = cards.read(self._root)
        if card:
            self._words = list(card.classes)
            return LabelResolver(dict(enumerate(card.classes, start=1)), origin=DATASET_CARD)
        pairs = [(self.text(said), number) for said, number in self._pairs]
        below = {said: number for said, number in pairs if said and number is not None and number < 1}
        for said, number in below.items():
            self.faults.append(Fault(faults.LABEL_ID_BELOW_1, said, f"class {number}, numbered anew from 1", FIXED))
        return label_resolver.of_pairs(pairs)

    def _label_map(self, path: Path) -> LabelMap:
        data = path.read_bytes()
        known = () if data.isascii() else [text for said, _ in self._pairs if (text := _unicode(said))]
        where = name_in(self._root, path) if path.is_relative_to(self._root) else str(path)
        try:
            found = label_map.decode_label_map(data, known)
            if not found.items and data.strip() and "label" in path.name.lower():
                raise LabelMapError("has no item of a label map")
        except LabelMapError as error:
            place = f"{path} line {error.line}" if error.line else str(path)
            raise DatasetError(f"label map: {error}", where=place, remedy=error.remedy) from None
        for remark in found.remarks:
            action = KEPT if remark.kind == label_map.NAMELESS else FIXED
            place = f"{where} line {remark.line}" if remark.line else where
            self.faults.append(Fault(remark.kind, place, remark.detail, action))
        return found

    def _of_map(self, path: Path, found: LabelMap) -> LabelResolver:
        items = [item for item in found.items if item.number is not None]
        self._words = [item.name for item in items]
        nameless = {item.number: str(item.number) for item in items if not item.name and item.number is not None}
        ordered = sorted(items, key=lambda item: (item.number or 0, item.line))
        return LabelResolver(
            {**nameless, **found.names},
            [item.name for item in ordered if item.name] + list(nameless.values()),
            origin=path.name,
            doubtful={
                number: f"{path.name} line {remark.line}: {remark.detail}" for number, remark in found.doubtful.items()
            },
            spellings={item.display_name: item.name for item in items if item.display_name},
            pairs={(item.number, item.name) for item in items if item.number is not None},
        )

    @functools.cached_property
    def _pairs(self) -> list[Pair]:
        """The texts and numbers of boxes in all records, each pair once, in order."""
        found: dict[Pair, None] = {}
        for path in self._files:
            try:
                for _, data in records.scan(path):
                    found.update(dict.fromkeys(_pairs_of(data)))
            except DatasetError:  # Read again, and then counted.
                continue
        return list(found)

    @functools.cached_property
    def _foreign_texts(self) -> dict[bytes, str]:
        """What texts of classes stand for that are not UTF-8, which TensorFlow's tools write."""
        texts = list(dict.fromkeys(said for said, _ in self._pairs if _unicode(said) is None))
        decoded = text_files.find_encoding(b"\n".join(texts), self._words)
        where = name_in(self._root, self._files[0])
        if not decoded.is_sure:
            raise DatasetError(
                f"{TEXT} is no UTF-8, and its encoding can't be told ({decoded.encoding}?)",
                where=str(self.source),
                remedy="add a label map in UTF-8 with these names, or write the records anew",
            )
        self.faults.append(Fault(label_map.ENCODING, where, f"{TEXT} read as {decoded.encoding}", FIXED))
        return dict(zip(texts, decoded.text.split("\n"), strict=False))


def _unicode(said: bytes) -> str | None:
    try:
        return said.decode("utf-8")
    except UnicodeError:
        return None


def _pairs_of(data: bytes) -> list[Pair]:
    try:
        row = example.decode(data)
    except ValueError:
        return []
    texts, numbers = row.get(TEXT, []), row.get(NUMBER, [])
    count = len(texts or numbers)
    if (texts and numbers and len(texts) != len(numbers)) or any(not isinstance(text, bytes) for text in texts):
        return []
    numbers = [None] * count if not numbers or isinstance(numbers[0], bytes) else [int(number) for number in numbers]
    return list(zip(texts or [b""] * count, numbers, strict=True))
