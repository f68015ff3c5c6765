"""Reader of Supervisely's projects: `set/ann/image.jpg.json` beside `set/img/image.jpg`, and `meta.json`."""

import base64
import functools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage, Category, Point
from app.dataset.faults import FIXED, Fault
from app.dataset.formats import json_files
from app.dataset.formats.drawn_boxes import DrawnBoxes
from app.dataset.formats.json_files import points
from app.dataset.image_index import AmbiguousImage, ImageIndex
from app.dataset.shapes import Corners, box_around
from app.raster_image import image_suffixes

NAME = "supervisely"
_BITMAP_BYTES_MAX = 1 << 28


def recognise(source: Path) -> str:
    """Why `source` is a project of Supervisely: what was found, or an empty string."""
    if not source.is_dir():
        return ""
    files = _annotations(source)
    found = json_files.first_fitting(files, _is_supervisely)
    return f"{len(files)} JSON files such as {found.relative_to(source).as_posix()}" if found else ""


def splits(source: Path) -> tuple[str, ...]:
    """The project's data sets that are named train, val, test ..."""
    return tuple(sorted(name for name in json_files.by_split(source, _annotations(source)) if name))


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The classes of `meta.json` in its order, and the images of one split, or without a name of all."""
    index = ImageIndex(source)
    skeletons: dict[str, list[str]] = {}
    for path in sorted(source.glob("meta.json")) + sorted(source.glob("*/meta.json")):
        for row in _classes(path):
            name = json_files.text(row.get("title"))
            if name:
                yield Category(name)
                skeletons[name] = list(_dict(_dict(row.get("geometry_config")).get("nodes")))
    files = _annotations(source)
    for path in json_files.by_split(source, files)[split] if split else files:
        yield from _image(path, index, split, skeletons, masked)


def _annotations(source: Path) -> list[Path]:
    """JSON files in a folder `ann`, or named like an image."""
    return [p for p in json_files.files_in(source) if p.parent.name == "ann" or _is_named_like_image(p)]


def _is_named_like_image(path: Path) -> bool:
    return path.parent.name != "meta" and Path(path.stem).suffix.lower() in image_suffixes()


def _is_supervisely(path: Path) -> bool:
    return json_files.holds(path, "objects", "size", ("classTitle", "tags"))


def _classes(path: Path) -> list[dict[str, Any]]:
    try:
        said = json_files.content(path)
    except ValueError:
        return []
    return json_files.rows(_dict(said).get("classes"))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _image(
    path: Path, index: ImageIndex, split: str, skeletons: dict[str, list[str]], masked: bool
) -> Iterator[AnnotatedImage | Fault]:
    where = index.name(path)
    try:
        said = json_files.content(path)
    except ValueError as error:
        yield Fault(faults.ANNOTATION_UNREADABLE, where, str(error))
        return
    if not isinstance(said, dict) or not isinstance(said.get("objects"), list):
        yield Fault(faults.ANNOTATION_UNREADABLE, where, "no list of objects")
        return
    try:
        found = index.find(path.stem, near=path.parent.parent / "img", split=split)
    except AmbiguousImage as error:
        yield Fault(faults.IMAGE_AMBIGUOUS, where, ", ".join(error.args))
        return
    if found is None:
        yield Fault(faults.IMAGE_MISSING, where, path.stem)
        return
    width, height = json_files.size(*(_dict(said.get("size")).get(side) for side in ("width", "height")))
    if not width:
        yield Fault(faults.SIZE_MISSING, where, "taken from the image", FIXED)
    drawn = DrawnBoxes(where)
    for row in said["objects"]:
        _add(drawn, _dict(row), skeletons, (width, height), masked)
    yield from drawn.image(found, index, width=width, height=height)


def _add(
    drawn: DrawnBoxes, row: dict[str, Any], skeletons: dict[str, list[str]], size: tuple[int, int], masked: bool
) -> None:
    label, kind = json_files.text(row.get("classTitle")), _kind(row)
    keypoints = _keypoints(row, skeletons.get(label, [])) if kind == "graph" else ()
    if kind == "graph" and label and not keypoints:
        drawn.fixed.append(Fault(faults.KEYPOINTS_UNREADABLE, drawn.where, f"{label}: not in meta.json", FIXED))
    drawn.add(
        label,
        kind or "object",
        functools.partial(_corners, kind, row),
        upright=kind == "rectangle",
        mask=functools.partial(_mask, kind, row, *size) if masked and kind in ("polygon", "bitmap") else None,
        keypoints=keypoints,
    )


def _kind(row: dict[str, Any]) -> str:
    """The shape; older files do not state it."""
    said = json_files.text(row.get("geometryType"))
    if said:
        return "line" if said == "polyline" else said
    return next((name for key, name in (("bitmap", "bitmap"), ("nodes", "graph")) if row.get(key)), "")


def _corners(kind: str, row: dict[str, Any]) -> Corners:
    if kind == "bitmap":
        return masks.box_at(_bitmap(row), *_origin(row))
    if kind == "graph":
        return box_around([place for place, _ in _nodes(row).values()])
    if kind in ("rectangle", "polygon", "line"):
        outline = points(_dict(row.get("points")).get("exterior"))
        if len(outline) > 1:
            return box_around(outline)
        raise ValueError(f"{len(outline)} points")
    raise ValueError("has no extent" if kind == "point" else "is no shape that has a box")


def _origin(row: dict[str, Any]) -> tuple[float, float]:
    found = points([_dict(row.get("bitmap")).get("origin")])
    return found[0]


def _bitmap(row: dict[str, Any]) -> np.ndarray:
    """The bitmap [height, width]: a PNG, compressed with zlib, in base64."""
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(base64.b64decode(_dict(row.get("bitmap"))["data"]), _BITMAP_BYTES_MAX)
    except (TypeError, KeyError, ValueError, zlib.error):
        raise ValueError("no compressed PNG in base64") from None
    return masks.read_bitmap(data)


def _mask(kind: str, row: dict[str, Any], width: int, height: int) -> masks.Mask:
    if kind == "bitmap":
        return masks.place_bitmap(_bitmap(row), *_origin(row), width, height)
    said = _dict(row.get("points"))
    if said.get("interior"):
        raise ValueError("an outline with holes")
    return masks.of_outlines([[side for point in points(said.get("exterior")) for side in point]])


def _nodes(row: dict[str, Any]) -> dict[str, tuple[tuple[float, float], bool]]:
    """The places of a graph's nodes, and whether they are hidden, by their ids. Raises ValueError."""
    said = _dict(row.get("nodes"))
    return {
        key: (points([_dict(node).get("loc")])[0], json_files.is_set(_dict(node).get("disabled")))
        for key, node in said.items()
    }


def _keypoints(row: dict[str, Any], skeleton: list[str]) -> tuple[Point, ...]:
    """A graph's nodes in the order of the class's; nothing where they are not those."""
    try:
        nodes = _nodes(row)
    except ValueError:
        return ()
    if not nodes.keys() <= set(skeleton):
        return ()
    return tuple((*nodes[key][0], 1 if nodes[key][1] else 2) if key in nodes else (0.0, 0.0, 0) for key in skeleton)
