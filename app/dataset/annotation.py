"""What a data set says about one picture, in the terms that every reader shares."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Box:
    """One annotated object.

    Corners are in pixels of the annotated picture, or in fractions of it where `Picture.fractions` says so; x
    runs right, y runs down, both from the top left corner. `area` is in pixels of the annotated picture,
    None: the box's.
    """

    label: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    is_crowd: bool = False
    difficult: bool = False
    truncated: bool = False
    area: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a data set with its boxes.

    `name` is the path within the data set with `/`, unique in it. `width` and `height` are in pixels as the
    annotation states them, 0 where it does not.
    """

    path: Path
    name: str
    boxes: tuple[Box, ...]
    width: int = 0
    height: int = 0
    fractions: bool = False


@dataclass(frozen=True, slots=True)
class Category:
    """A class that a data set declares. `group`: it only groups others (a super-category)."""

    name: str
    group: bool = False
