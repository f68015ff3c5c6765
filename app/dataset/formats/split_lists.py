"""A set's own splits where what was made from it tells them, such as TF1's tutorials' `train_labels.csv` beside XML."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.image_index import name_key


class SplitByAnother:
    """The reader `annotations` of a set, whose images are in the splits that the reader `lists` finds them in."""

    def __init__(self, annotations: Any, lists: Any):
        self.NAME: str = annotations.NAME
        self._annotations, self._lists = annotations, lists

    def recognise(self, source: Path) -> str:
        """Why `source` is of the annotations' format."""
        return str(self._annotations.recognise(source))

    def splits(self, source: Path) -> tuple[str, ...]:
        """The splits of the lists."""
        return tuple(self._lists.splits(source))

    def read(
        self, source: Path, split: str = "", *, masked: bool = False
    ) -> Iterator[AnnotatedImage | Category | Fault]:
        """The images of a split with the annotations' boxes; faults of both."""
        listed: set[Path | str] = set()
        for item in self._lists.read(source, split) if split else ():
            if isinstance(item, AnnotatedImage):
                listed.add(_identity(item))
            elif isinstance(item, Fault):
                yield item
        for item in self._annotations.read(source, masked=masked):
            if not isinstance(item, AnnotatedImage) or not split or not listed.isdisjoint((item.path, _stem(item))):
                yield item


def _identity(image: AnnotatedImage) -> Path | str:
    """What tells an image: its file, or of one in a record the stem of its name."""
    return image.path if image.offset is None else _stem(image)


def _stem(image: AnnotatedImage) -> str:
    return name_key(Path(image.name).stem)
