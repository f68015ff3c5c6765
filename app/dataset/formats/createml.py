"""Reader of CreateML's JSON: a list of images, each with boxes given by their centres, in pixels."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import json_files
from app.dataset.formats.drawn_boxes import DrawnBoxes
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in, root_of
from app.dataset.shapes import Corners
from app.dataset.splits import files_of

NAME = "createml"
ROBOFLOW = "_annotations.createml.json"
_IMAGE_KEYS = ("image", "imagefilename", "imageFilename", "filename")
_BOX_KEYS = ("annotations", "annotation")


def recognise(source: Path) -> str:
    """Why `source` (a folder or a JSON file) is a CreateML set: what was found, or an empty string."""
    files = [path for paths in _files(source).values() for path in paths]
    root = root_of(source)
    return "CreateML JSON in " + ", ".join(name_in(root, path) for path in files[:5]) if files else ""


def splits(source: Path) -> tuple[str, ...]:
    """The splits that the files' names or folders speak of: `train/_annotations.createml.json`."""
    return tuple(name for name in _files(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images of one split, or without a name of all, in the order of the JSON."""
    root = root_of(source)
    index = ImageIndex(root)
    for name, file in files_of(_files(source), split):
        yield from _document(file, name_in(root, file), index, name)


def _files(source: Path) -> dict[str, list[Path]]:
    return json_files.documents(source, _is_createml)


def _is_createml(path: Path) -> bool:
    if path.name == ROBOFLOW:
        return True
    return json_files.holds(path, _IMAGE_KEYS, _BOX_KEYS, "coordinates", "label", opening="[")


def _document(file: Path, where: str, index: ImageIndex, split: str) -> Iterator[AnnotatedImage | Fault]:
    for row in json_files.rows((yield from json_files.load(file, where))):
        there = [key for key in _BOX_KEYS if key in row]
        if not there:
            continue
        name = next((row[key] for key in _IMAGE_KEYS if isinstance(row.get(key), str)), "")
        found = yield from locate(name, index, near=file.parent, where=where, split=split)
        if found is None:
            continue
        drawn = DrawnBoxes(index.name(found))
        annotations = row[there[0]]
        for annotation in annotations if isinstance(annotations, list) else []:
            inside = annotation if isinstance(annotation, dict) else {}
            label = json_files.text(inside.get("label"))
            drawn.add(label, "box", functools.partial(_corners, inside.get("coordinates")), upright=True)
        yield from drawn.image(found, index)


def _corners(said: Any) -> Corners:
    x, y, width, height = json_files.numbers(said, "x", "y", "width", "height")
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
