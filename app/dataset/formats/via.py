"""Reader of the VGG Image Annotator's projects and exports, JSON or CSV, of its versions 1 to 3."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import FIXED, Fault
from app.dataset.formats import json_files, via_files
from app.dataset.formats.drawn_boxes import DrawnBoxes
from app.dataset.formats.image_lookup import locate
from app.dataset.formats.json_files import numbers
from app.dataset.formats.via_files import Entry, Region
from app.dataset.image_index import ImageIndex, name_in, root_of
from app.dataset.shapes import Corners, box_around, box_around_ellipse
from app.errors import DatasetError

NAME = "via"
_CLASS_NAMES = (
    {"class", "classname", "classes", "label", "labels", "labelname", "category", "categoryname"},
    {"name", "names", "type", "object", "objectname", "objects", "species", "kind"},
)
"""What attributes are called that name a class, the surest first, without blanks and in small letters."""
_EXAMPLES = 3


def recognise(source: Path) -> str:
    """Why `source` (a folder or a file) is a VIA set: what was found, or an empty string."""
    files = [path for paths in _files(source).values() for path in paths]
    root = root_of(source)
    return "VIA's regions in " + ", ".join(name_in(root, path) for path in files[:5]) if files else ""


def splits(source: Path) -> tuple[str, ...]:
    """The splits that the files' names or folders speak of: `train/via_region_data.json`."""
    return tuple(name for name in _files(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images of one split, or without a name of all; one that a project holds is not read from exports as well.

    Raises DatasetError where several attributes could name the class.
    """
    root = root_of(source)
    index = ImageIndex(root)
    documents = {}
    for name, files in _files(source).items():
        for file in files:
            try:
                documents[file] = name, via_files.entries(file)
            except ValueError as error:
                if not split or name == split:
                    yield Fault(faults.ANNOTATION_UNREADABLE, name_in(root, file), str(error))
    attribute = _class_attribute([entry for _, entries in documents.values() for entry in entries], str(source))
    taken: dict[Path, tuple[int, Path]] = {}
    for file in sorted(documents, key=lambda file: (via_files.rank(file), file)):
        name, entries = documents[file]
        for entry in entries if not split or name == split else []:
            where = name_in(root, file)
            found = yield from locate(entry.image, index, near=file.parent, where=where, split=name)
            if found is None:
                continue
            rank, first = taken.setdefault(found, (via_files.rank(file), file))
            if rank != via_files.rank(file):
                yield Fault(faults.IMAGE_TWICE, index.name(found), f"as in {first.name}, not as in {file.name}", FIXED)
                continue
            drawn = DrawnBoxes(index.name(found))
            for region in entry.regions:
                _add(drawn, region, attribute, masked)
            yield from drawn.image(found, index)


def _files(source: Path) -> dict[str, list[Path]]:
    return json_files.documents(source, via_files.is_via, via_files.csv_files(source))


def _class_attribute(entries: list[Entry], where: str) -> str:
    """The attribute that names the class: the only one, or the only one with a name for that.

    Raises DatasetError where that leaves several.
    """
    values: dict[str, dict[str, None]] = {}
    for entry in entries:
        for region in entry.regions:
            for name, value in region.attributes.items():
                if value not in ("", None, {}, []):
                    values.setdefault(name, {}).setdefault(", ".join(_labels(value)))
    if len(values) < 2:
        return next(iter(values), "")
    for names in _CLASS_NAMES:
        fitting = [name for name in values if "".join(filter(str.isalnum, name.casefold())) in names]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            break
    shown = "; ".join(f"{json_files.text(n)}: {', '.join(list(v)[:_EXAMPLES])}" for n, v in list(values.items())[:10])
    raise DatasetError(
        f"several attributes of its regions could name the class ({shown})",
        where=where,
        remedy="rename the one that does to `class` in VIA's attribute editor",
    )


def _labels(value: Any) -> list[str]:
    """The values of an attribute: one, or of a checkbox those that are ticked."""
    if isinstance(value, dict):
        return [json_files.text(name) for name, ticked in value.items() if json_files.is_set(ticked)]
    return [json_files.text(value)]


def _add(drawn: DrawnBoxes, region: Region, attribute: str, masked: bool) -> None:
    kind = json_files.text(region.shape.get("name"))
    labels = _labels(region.attributes.get(attribute))
    if len(labels) > 1:
        drawn.lost.append(Fault(faults.LABEL_UNKNOWN, drawn.where, f"{kind} of several classes: {', '.join(labels)}"))
        return
    outline = kind == "polygon" and masked
    drawn.add(
        labels[0] if labels else "",
        kind,
        functools.partial(_corners, kind, region.shape),
        upright=kind == "rect",
        mask=functools.partial(_mask, region.shape) if outline else None,
    )


def _corners(kind: str, shape: dict[str, Any]) -> Corners:
    if kind == "rect":
        x, y, width, height = numbers(shape, "x", "y", "width", "height")
        return x, y, x + width, y + height
    if kind == "circle":
        x, y, radius = numbers(shape, "cx", "cy", "r")
        return x - radius, y - radius, x + radius, y + radius
    if kind == "ellipse":
        x, y, across, down = numbers(shape, "cx", "cy", "rx", "ry")
        return box_around_ellipse(x, y, across, down, json_files.number(shape.get("theta") or 0))
    if kind in ("polygon", "polyline"):
        return box_around(_points(shape))
    raise ValueError("has no extent" if kind == "point" else "is no shape that has a box")


def _points(shape: dict[str, Any]) -> list[tuple[float, float]]:
    xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        raise ValueError("no list of points")
    return [(json_files.number(x), json_files.number(y)) for x, y in zip(xs, ys, strict=True)]


def _mask(shape: dict[str, Any]) -> masks.Mask:
    return masks.of_outlines([[side for point in _points(shape) for side in point]])
