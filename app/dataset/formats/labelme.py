"""Reader of LabelMe's JSON, a file an image; also that of its descendants AnyLabeling and X-AnyLabeling."""

import base64
import functools
import math
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import FIXED, Fault
from app.dataset.formats import json_files
from app.dataset.formats.drawn_boxes import DrawnBoxes
from app.dataset.formats.json_files import points
from app.dataset.image_index import AmbiguousImage, ImageIndex, name_key, root_of
from app.dataset.masks import Mask
from app.dataset.shapes import Corners, box_around

NAME = "labelme"
NO_CLASS = frozenset({"__ignore__", "_background_"})
"""What LabelMe calls regions of no class."""
_OUTLINES = frozenset({"polygon", "rotation", "quadrilateral"})
_LISTS = _OUTLINES | {"rectangle", "line", "linestrip", "cuboid"}
"""Shapes whose box is the one around their points; a rectangle has two corners in any order, or four."""


def recognise(source: Path) -> str:
    """Why `source` (a folder or a JSON file) is a LabelMe set: what was found, or an empty string."""
    files = json_files.files_in(source)
    found = json_files.first_fitting(files, _is_labelme)
    if found is None:
        return ""
    return f"{len(files)} JSON files such as {found.relative_to(root_of(source)).as_posix()}"


def splits(source: Path) -> tuple[str, ...]:
    """The set's own splits: folders of JSON named train, val, test ..."""
    return tuple(sorted(name for name in _files(source) if name))


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images of one split, or without a name of all, in the order of the JSON files."""
    index = ImageIndex(root_of(source))
    for path in _files(source)[split] if split else json_files.files_in(source):
        yield from _image(path, index, split, masked)


def read_embedded(path: Path) -> bytes:
    """The image in a JSON file's `imageData`; no bytes where there is none, which are no image."""
    try:
        return base64.b64decode(json_files.content(path)["imageData"])
    except (TypeError, KeyError, ValueError):
        return b""


def _is_labelme(path: Path) -> bool:
    return json_files.holds(path, "shapes", ("imagePath", "imageData", "imageHeight"))


def _files(source: Path) -> dict[str, list[Path]]:
    """The JSON files of each split; where there are several, only LabelMe's, as other JSON makes no split."""
    files = json_files.files_in(source)
    found = json_files.by_split(source, files)
    return json_files.by_split(source, filter(_is_labelme, files)) if len(found) > 1 else found


def _image(path: Path, index: ImageIndex, split: str, masked: bool) -> Iterator[AnnotatedImage | Fault]:
    where = index.name(path)
    said = yield from json_files.load(path, where)
    if not isinstance(said, dict) or not {"imagePath", "imageData", "shapes"} & said.keys():
        return  # JSON of something else.
    if not isinstance(said.get("shapes"), list):
        yield Fault(faults.ANNOTATION_UNREADABLE, where, "no list of shapes")
        return
    named = said["imagePath"] if isinstance(said.get("imagePath"), str) else ""
    width, height = json_files.size(said.get("imageWidth"), said.get("imageHeight"))
    drawn = DrawnBoxes(where)
    for shapes in _objects(said["shapes"]):
        _add(drawn, shapes, width, height, masked)
    try:
        found = json_files.find_by_stem(path, named, index, split)
    except AmbiguousImage as error:
        yield Fault(faults.IMAGE_AMBIGUOUS, where, ", ".join(error.args))
        return
    if found is None and isinstance(said.get("imageData"), str) and said["imageData"]:
        yield from drawn.fixed
        name = posixpath.join(posixpath.dirname(where), named.replace("\\", "/").rsplit("/", 1)[-1] or path.stem)
        yield AnnotatedImage(path, name, tuple(drawn.boxes), width, height, offset=0, lost=tuple(drawn.lost))
        return
    if found is None:
        said_too = json_files.text(named) or "an imagePath"
        yield Fault(faults.IMAGE_MISSING, where, f"neither {path.stem}.* nor {said_too}, and no imageData")
        return
    if named and name_key(found.stem) not in name_key(named):
        yield Fault(faults.FILENAME_WRONG, where, f"{json_files.text(named)}, taken: {found.name}", FIXED)
    if not width:
        yield Fault(faults.SIZE_MISSING, where, "taken from the image", FIXED)
    yield from drawn.image(found, index, width=width, height=height)


def _objects(shapes: list[Any]) -> Iterator[list[dict[str, Any]]]:
    """The shapes of one object together: outlines of one class and group are parts of it, as LabelMe's exports say."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number, shape in enumerate(shapes):
        row = shape if isinstance(shape, dict) else {}
        group = json_files.text(row.get("group_id"))
        joined = group and _kind(row) in ("polygon", "mask")
        groups.setdefault((json_files.text(row.get("label")), f"group {group}" if joined else str(number)), []).append(
            row
        )
    yield from groups.values()


def _kind(shape: dict[str, Any]) -> str:
    return json_files.text(shape.get("shape_type")) or "polygon"  # Which the oldest files do not say.


def _add(drawn: DrawnBoxes, shapes: list[dict[str, Any]], width: int, height: int, masked: bool) -> None:
    first, kind = shapes[0], _kind(shapes[0])
    label = json_files.text(first.get("label"))
    if label in NO_CLASS:
        return
    drawn.add(
        label,
        kind if len(shapes) == 1 else f"{len(shapes)} outlines of group {json_files.text(first.get('group_id'))}",
        functools.partial(_around, shapes),
        upright=kind == "rectangle",
        mask=functools.partial(_mask, shapes, width, height) if masked else None,
        difficult=json_files.is_set(first.get("difficult")),
    )


def _around(shapes: list[dict[str, Any]]) -> Corners:
    found = [_corners(shape) for shape in shapes]
    return box_around([corner for box in found for corner in (box[:2], box[2:])])


def _corners(shape: dict[str, Any]) -> Corners:
    kind, there = _kind(shape), points(shape.get("points"))
    if kind == "circle" and len(there) == 2:
        (x, y), edge = there
        radius = math.dist((x, y), edge)
        return x - radius, y - radius, x + radius, y + radius
    if kind == "mask" and there:
        x, y = box_around(there)[:2]
        return masks.box_at(_bitmap(shape), round(x), round(y))
    if kind in _LISTS and len(there) > 1:
        return box_around(there)
    raise ValueError("has no extent" if kind in ("point", "points") else f"{len(there)} points")


def _bitmap(shape: dict[str, Any]) -> Any:
    try:
        return masks.read_bitmap(base64.b64decode(shape["mask"]))
    except (TypeError, KeyError):
        raise ValueError("no PNG in its mask") from None


def _mask(shapes: list[dict[str, Any]], width: int, height: int) -> Mask | None:
    if all(_kind(shape) in _OUTLINES for shape in shapes):
        return masks.of_outlines([[side for point in points(shape["points"]) for side in point] for shape in shapes])
    if len(shapes) == 1 and _kind(shapes[0]) == "mask":
        x, y = box_around(points(shapes[0]["points"]))[:2]
        return masks.place_bitmap(_bitmap(shapes[0]), x, y, width, height)
    return None
