"""Counts of a data set: images and boxes by class and split, and the shapes of the boxes."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.humanize import list_names
from app.inspection.dataset_view import ImageSummary

SMALL, LARGE = 32**2, 96**2
"""Areas in pixels between COCO's small, medium and large boxes (cocoeval.py's areaRng)."""
SIZE_EDGES = tuple(2 ** (index / 2) for index in range(2, 22))
"""Of the histogram of boxes' sides in pixels: 2, 2.8, 4 ... 1448."""
RATIO_EDGES = tuple(2 ** (index / 2) for index in range(-6, 7))
"""Of the histogram of width over height: 1:8 ... 8:1."""


@dataclass
class DatasetStatistics:
    """Grows look by look, by about 30 bytes a box and a name for each image without boxes."""

    classes: Sequence[str]
    images: Counter[str] = field(default_factory=Counter)
    """By split."""
    boxes: dict[str, Counter[str]] = field(default_factory=dict)
    """By split and class."""
    without_boxes: list[str] = field(default_factory=list)
    empty: Counter[str] = field(default_factory=Counter)
    """Images without boxes by split."""
    images_of: Counter[str] = field(default_factory=Counter)
    """Images by class, of the whole."""
    boxes_of: Counter[str] = field(default_factory=Counter)
    """Boxes by class, of the whole."""
    crowding: Counter[int] = field(default_factory=Counter)
    """Images by their number of boxes."""
    total: int = 0
    sides: "array[float]" = field(default_factory=lambda: array("f"))
    """For each box: its height and width in fractions, its image's height and width in pixels."""

    def add(self, look: ImageSummary) -> None:
        labels = Counter(box.label for box in look.boxes)
        self.total += 1
        self.crowding[len(look.boxes)] += 1
        self.boxes_of.update(labels)
        self.images_of.update(labels.keys())
        if not labels:
            self.without_boxes.append(look.name)
        for split in look.splits:
            self.images[split] += 1
            self.empty[split] += not labels
            self.boxes.setdefault(split, Counter()).update(labels)
        for box in look.boxes:
            self.sides.extend((box.ymax - box.ymin, box.xmax - box.xmin, look.height, look.width))

    def shapes(self) -> tuple[np.ndarray, np.ndarray]:
        """For each box: (height, width) of its image in pixels, and its own as fractions of that; each [n, 2]."""
        table = np.frombuffer(self.sides, np.float32).reshape(-1, 4)
        return table[:, 2:].astype(float), table[:, :2].astype(float)


@dataclass(frozen=True)
class Imbalance:
    """How much more frequent the most frequent class is than the least frequent that has a box."""

    most: str
    least: str
    ratio: float
    missing: tuple[str, ...]
    """Classes without a box."""
    alone: bool
    """Only one class has any."""

    @property
    def summary(self) -> str:
        """One sentence."""
        none = f"; without a box: {list_names(self.missing)}" if self.missing else ""
        if self.alone:
            return f"one class has boxes: {self.most}{none}"
        if self.ratio < 1.5:
            return f"the classes are about equally frequent{none}"
        degree = "mildly" if self.ratio < 5 else "clearly" if self.ratio < 20 else "heavily"
        return f"{degree} imbalanced: {self.ratio:.3g} boxes of {self.most} for each of {self.least}{none}"


def imbalance(classes: Iterable[str], boxes_of: Mapping[str, int]) -> Imbalance | None:
    """The imbalance of the classes by their numbers of boxes; None without any box."""
    counts = {name: boxes_of.get(name, 0) for name in classes}
    there = {name: count for name, count in counts.items() if count}
    if not there:
        return None
    most, least = max(there, key=there.__getitem__), min(there, key=there.__getitem__)
    missing = tuple(name for name in counts if name not in there)
    return Imbalance(most, least, there[most] / there[least], missing, alone=len(there) == 1)


@dataclass(frozen=True)
class Sizes:
    """Boxes as the model sees them, in its pixels. `quantiles` of the sides (square roots of areas) at 5, 50, 95 %."""

    small: int
    medium: int
    large: int
    quantiles: tuple[float, ...]


def sizes(seen: np.ndarray) -> Sizes | None:
    """`seen` is [n, 2] of (height, width); None without boxes."""
    if not len(seen):
        return None
    areas = seen.prod(1)
    small, large = int((areas < SMALL).sum()), int((areas >= LARGE).sum())
    quantiles = np.quantile(np.sqrt(areas), (0.05, 0.5, 0.95))
    return Sizes(small, len(seen) - small - large, large, tuple(round(float(side), 1) for side in quantiles))


def histogram(values: np.ndarray, edges: Sequence[float]) -> list[int]:
    """How many values lie in each bin; the first and the last bin take what lies beyond them."""
    inside = np.clip(values, edges[0], np.nextafter(edges[-1], 0))
    return [int(count) for count in np.histogram(inside, edges)[0]]
