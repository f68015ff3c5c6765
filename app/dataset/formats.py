"""The formats of data sets that can be read, in one table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from app.dataset import coco, label_table, voc, yolo
from app.dataset.annotation import Category, Picture
from app.dataset.faults import Fault
from app.errors import DatasetError


class Reader(Protocol):
    """What a reader module offers."""

    NAME: str

    def recognise(self, source: Path) -> str:
        """Why `source` is of this format (what was found there), or an empty string."""

    def splits(self, source: Path) -> tuple[str, ...]:
        """The names of the set's own splits."""

    def read(self, source: Path, split: str = "") -> Iterator[Picture | Category | Fault]:
        """The pictures of a split, or without a name of the whole set; declared classes; and every fault."""


READERS: dict[str, Reader] = {module.NAME: module for module in (voc, coco, yolo, label_table)}


def choose(source: Path, name: str = "auto") -> tuple[Reader, str]:
    """The reader for `source` and why.

    Raises DatasetError where there is nothing, the format is unknown, or several fit: it never guesses.
    """
    where = str(source)
    if not source.exists():
        raise DatasetError("no such file or folder", where=where, remedy="--dataset / DETBOX_DATASET")
    if name != "auto" and name not in READERS:
        raise DatasetError(
            f"format {name!r} is unknown", where=where, remedy=f"one of auto, {', '.join(READERS)}: --format"
        )
    reasons = {reader.NAME: reader.recognise(source) for reader in READERS.values()}
    fitting = {known: reason for known, reason in reasons.items() if reason}
    if name != "auto":
        if name not in fitting:
            others = f"; it looks like {', '.join(fitting)}" if fitting else ""
            raise DatasetError(f"nothing of format {name} here{others}", where=where, remedy="--format / DETBOX_FORMAT")
        return READERS[name], f"named; {fitting[name]}"
    if len(fitting) == 1:
        known, reason = next(iter(fitting.items()))
        return READERS[known], reason
    if fitting:
        found = "; ".join(f"{known}: {reason}" for known, reason in fitting.items())
        raise DatasetError(f"several formats fit ({found})", where=where, remedy="name one: --format / DETBOX_FORMAT")
    raise DatasetError(
        f"no known format{_contents(source)}", where=where,
        remedy=f"one of {', '.join(READERS)}; see docs/datasets.md",
    )  # fmt: skip


def _contents(source: Path) -> str:
    if not source.is_dir():
        return ""
    names = sorted(path.name + "/" * path.is_dir() for path in source.iterdir())
    return f" among {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}" if names else " in an empty folder"
