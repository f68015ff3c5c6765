"""Reader of the Oxford-IIIT Pet layout: lists of names, an XML for each head, a trimap for each body.

The XML says only `cat` or `dog`; the class is the breed, which the image's name begins with, as in upstream's
create_pet_tf_record. Its box is around the head. With masks it is the whole animal's, taken from the trimap, as with
upstream's `--faces_only=False`.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app import text_files
from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.formats import voc
from app.dataset.image_index import ImageIndex
from app.raster_image import open_image

NAME = "pet"
SPECIAL_CASES_OF = ("voc",)
"""VOC reads the same XML, and would make `cat` and `dog` of it; only when asked to."""
SPLITS = ("trainval", "test")
_BACKGROUND = 2
"""In a trimap 1 is the animal, 2 the background, 3 the seam between them."""
_NUMBERED = re.compile(r"(.+)_\d+")


def recognise(source: Path) -> str:
    """Why `source` is such a set: what was found, or an empty string."""
    lists = [name for name in (*SPLITS, "list") if _rows(source, name)]
    if not lists or not (source / "annotations" / "xmls").is_dir():
        return ""
    return f"annotations/xmls and annotations/{lists[0]}.txt"


def splits(source: Path) -> tuple[str, ...]:
    """`trainval`, and `test` where that has XML, which the set as published has not."""
    return tuple(name for name in SPLITS if any(_xml(source, row[0]).is_file() for row in _rows(source, name)))


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The images of a list that have XML, or without a name of all lists. Classes in the order of their ids."""
    listed = {row[0]: row for name in (*SPLITS, "list") for row in _rows(source, name)}
    numbers = {_breed(stem): int(row[1]) for stem, row in listed.items() if len(row) > 1 and row[1].isdecimal()}
    yield from (Category(breed) for breed in sorted(numbers, key=lambda breed: (numbers[breed], breed)))
    index = ImageIndex(source)
    for stem in [row[0] for row in _rows(source, split)] if split else listed:
        file = _xml(source, stem)
        if not file.is_file():
            yield Fault(faults.ANNOTATION_MISSING, stem, f"no XML{f', listed in {split}' if split else ''}")
            continue
        for item in voc.image(file, index, split):
            yield from _named(item, stem, source, masked) if isinstance(item, AnnotatedImage) else [item]


def _rows(source: Path, name: str) -> list[list[str]]:
    """The lines of a list: name, class from 1, species, breed within the species. Comments begin with #."""
    lines = text_files.lines(source / "annotations" / f"{name}.txt")
    return [line.split() for line in lines if not line.startswith("#") and "/" not in line]


def _xml(source: Path, stem: str) -> Path:
    return source / "annotations" / "xmls" / f"{stem}.xml"


def _breed(stem: str) -> str:
    numbered = _NUMBERED.fullmatch(stem)
    return numbered[1] if numbered else stem


def _named(image: AnnotatedImage, stem: str, source: Path, masked: bool) -> Iterator[AnnotatedImage | Fault]:
    boxes = tuple(dataclasses.replace(box, label=_breed(stem)) for box in image.boxes)
    if masked and boxes:
        file = source / "annotations" / "trimaps" / f"{stem}.png"
        try:
            with open_image(file) as trimap:
                body = np.asarray(trimap) != _BACKGROUND
            ys, xs = body.any(axis=1).nonzero()[0], body.any(axis=0).nonzero()[0]
            corners = dict(xmin=xs[0], ymin=ys[0], xmax=xs[-1] + 1, ymax=ys[-1] + 1)
        except Exception as error:  # Pillow's decoders raise nearly anything; no foreground is an IndexError.
            yield Fault(faults.MASK_UNREADABLE, f"annotations/trimaps/{stem}.png", " ".join(str(error).split())[:120])
        else:
            corners = {key: float(value) for key, value in corners.items()}
            boxes = (dataclasses.replace(boxes[0], **corners, mask=masks.of_bitmap(body)),)
    yield dataclasses.replace(image, boxes=boxes)
