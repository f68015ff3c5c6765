"""The classes of records: which name a box's text and number stand for."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.dataset import faults
from app.dataset.faults import FIXED, KEPT, Fault
from app.errors import DatasetError

REMEDY = "number the classes from 1, in the label map and the records, or write image/object/class/text too"


@dataclass
class LabelResolver:
    """Names of classes by number: those of a label map, called `origin`, or without one (empty) the records' own.

    `classes` has all names in the order of their ids. `doubtful`: what is wrong with numbers that stand for no class
    alone. `spellings`: other names of classes, such as a label map's display names.
    """

    names: dict[int, str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    origin: str = ""
    doubtful: Mapping[int, str] = field(default_factory=dict)
    spellings: dict[str, str] = field(default_factory=dict)
    pairs: set[tuple[int, str]] = field(default_factory=set)
    _known: dict[str, str] = field(default_factory=dict)
    _alike: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.classes = list(dict.fromkeys(self.classes or self.names.values()))
        self.pairs |= set(self.names.items())
        self._known = {**self.spellings, **{name: name for name in self.classes}}
        for name in self.classes:
            self._alike.setdefault(_key(name), set()).add(name)

    def find(self, said: str, number: int | None, where: str) -> tuple[str, Fault | None]:
        """The class's name, empty if there is none, and what was wrong.

        The text is believed before the number, as by upstream's decoder. Raises DatasetError for a number that can't
        be believed and has no text.
        """
        return self._by_text(said, number, where) if said else self._by_number(number, where)

    def _by_text(self, said: str, number: int | None, where: str) -> tuple[str, Fault | None]:
        name = self._known.get(said, "")
        if not name and self.origin:
            alike = self._alike.get(_key(said), set())
            name = next(iter(alike)) if len(alike) == 1 else ""
        if not name:
            self.classes.append(said)
            self._known[said] = said
        taken = name or said
        mapped = self.names.get(number, "") if number is not None else ""
        if number is not None and (number, taken) not in self.pairs:
            there = f"in {self.origin}" if self.origin else "elsewhere"
            detail = f"{said} class {number}, which is {mapped or 'nothing'} {there}; taken: {taken}"
            return taken, Fault(faults.LABEL_CONTRADICTS, where, detail, FIXED)
        if not name and self.origin:
            return taken, Fault(faults.LABEL_CONTRADICTS, where, f"{said}, which is not in {self.origin}", FIXED)
        if said not in (taken, *self.spellings):
            return taken, Fault(faults.LABELS_SPELT, where, f"{said}, in {self.origin} {taken}", FIXED)
        return taken, None

    def _by_number(self, number: int | None, where: str) -> tuple[str, Fault | None]:
        if number is None:
            return "", Fault(faults.LABEL_UNKNOWN, where, "neither text nor number")
        doubt = self.doubtful.get(number) or self.doubtful.get(0)
        name = self.names.get(number, "")
        if doubt:
            raise DatasetError(f"class {number} has no text, and its number is in doubt: {doubt}", where=where,
                               remedy=REMEDY)  # fmt: skip
        if name:
            return name, Fault(faults.LABEL_NAMELESS, where, f"class {name}", KEPT) if name == str(number) else None
        if number < 1 and (self.origin == "" or number == 0):
            raise DatasetError(
                f"class {number} has no text, and upstream takes 0 for the background", where=where, remedy=REMEDY
            )
        there = f", which {self.origin} lacks" if self.origin else ""
        return "", Fault(faults.LABEL_UNKNOWN, where, f"class {number}{there}")


def of_pairs(pairs: Iterable[tuple[str, int | None]]) -> LabelResolver:
    """The classes of records without a label map, by the texts and numbers that occur in them, in that order.

    A number without any text goes by itself.
    """
    pairs = list(pairs)
    named: dict[int, dict[str, None]] = {}
    for said, number in pairs:
        if said and number is not None:
            named.setdefault(number, {})[said] = None
    bare = {number: str(number) for said, number in pairs if not said and number is not None and number > 0}
    names = {number: next(iter(texts)) for number, texts in named.items()}
    names = dict(sorted((bare | names).items()))
    texts = [text for number in names for text in named.get(number, [names[number]])]
    return LabelResolver(
        names,
        [*texts, *sorted({said for said, _ in pairs if said} - set(texts))],
        doubtful={
            number: f"it is {' and '.join(some)} in other records" for number, some in named.items() if len(some) > 1
        },
    )


def _key(name: str) -> str:
    """Equal for names that differ in case, blanks or Unicode's normal form only."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
