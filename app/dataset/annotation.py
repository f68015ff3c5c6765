"""What a data set says about one image, in the terms that every reader shares."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.dataset.faults import DROPPED, Fault
from app.dataset.masks import Mask

Point = tuple[float, float, int]
"""x and y in the unit of the box's corners; 0: not annotated, 1: hidden, 2: visible, as in COCO."""


@dataclass(frozen=True, slots=True)
class Box:
    """One annotated object.

    Corners are in pixels of the annotated image, or in fractions of it where `Image.fractions` says so; x
    runs right, y runs down, both from the top left corner. `area` is in pixels of the annotated image,
    None: the box's. `keypoints` come in the order of the class's skeleton.
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
    group_of: bool = False
    mask: Mask | None = None
    keypoints: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image of a data set with its boxes.

    `name` is the path within the data set with `/`, unique in it. `width` and `height` are in pixels as the
    annotation states them, 0 where it does not. `path` is the image's file, or with an `offset` what holds it: a record
    file, in the record at that byte, or LabelMe's JSON. `lost`: a fault for each annotation of it that gave no box; an
    image of which nothing is left but these is not background.
    """

    path: Path
    name: str
    boxes: tuple[Box, ...]
    width: int = 0
    height: int = 0
    fractions: bool = False
    offset: int | None = None
    lost: tuple[Fault, ...] = ()


def sort_annotations(items: Iterable[Box | Fault]) -> tuple[tuple[Box, ...], tuple[Fault, ...], list[Fault]]:
    """What became of an image's annotations: boxes, the faults of those that gave none, and what was fixed or kept."""
    boxes: list[Box] = []
    lost: list[Fault] = []
    said: list[Fault] = []
    for item in items:
        if isinstance(item, Box):
            boxes.append(item)
        else:
            (lost if item.action == DROPPED else said).append(item)
    return tuple(boxes), tuple(lost), said


@dataclass(frozen=True, slots=True)
class Category:
    """A class that a data set declares. `group`: it only groups others (a super-category)."""

    name: str
    group: bool = False
