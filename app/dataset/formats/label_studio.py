"""Reader of Label Studio's JSON and JSON-MIN: a list of tasks, their regions in hundredths of the image."""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import FIXED, Fault
from app.dataset.formats import json_files
from app.dataset.formats.drawn_boxes import DrawnBoxes
from app.dataset.formats.image_lookup import locate
from app.dataset.formats.json_files import number, numbers
from app.dataset.image_index import ImageIndex, name_in, root_of
from app.dataset.shapes import Corners, box_around, box_around_ellipse
from app.dataset.splits import files_of
from app.raster_image import image_suffixes

NAME = "label_studio"
_LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "keypointlabels", "brushlabels", "labels")
"""Where a region has its classes, by its shape; `labels` where a control of its own gives them."""
_SIZE = ("original_width", "original_height")
_IMAGE_KEYS = ("image", "img", "image_url", "url")


@dataclass(frozen=True)
class _Task:
    """An image by the name that the task gives it, and the regions of the first of its `annotations`."""

    image: str
    regions: list[dict[str, Any]]
    annotations: int = 1


def recognise(source: Path) -> str:
    """Why `source` (a folder or a JSON file) is a set of Label Studio: what was found, or an empty string."""
    files = [path for paths in _files(source).values() for path in paths]
    root = root_of(source)
    return "Label Studio's JSON in " + ", ".join(name_in(root, path) for path in files[:5]) if files else ""


def splits(source: Path) -> tuple[str, ...]:
    """The splits that the files' names or folders speak of."""
    return tuple(name for name in _files(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images of one split, or without a name of all, in the order of the tasks."""
    root = root_of(source)
    index = ImageIndex(root)
    for name, file in files_of(_files(source), split):
        yield from _document(file, name_in(root, file), index, name, masked)


def _files(source: Path) -> dict[str, list[Path]]:
    return json_files.documents(source, _is_export)


def _is_export(path: Path) -> bool:
    """Whether a file is the full JSON, or JSON-MIN, which has each control's regions under its name."""
    return (
        json_files.holds(path, ("annotations", "completions"), "data", "result", opening="[")
        or json_files.holds(path, _LABELS, "original_width", opening="[")
        or json_files.holds(path, "annotation_id", "lead_time", opening="[")
    )


def _document(file: Path, where: str, index: ImageIndex, split: str, masked: bool) -> Iterator[AnnotatedImage | Fault]:
    tasks = yield from json_files.load(file, where)
    seen: set[str] = set()
    for row in json_files.rows(tasks):
        full = isinstance(row.get("data"), dict)
        if not full and "id" in row:
            key = f"task {json_files.text(row['id'])}"
            if key in seen:  # JSON-MIN has a row for each annotator.
                yield Fault(faults.ANNOTATED_TWICE, where, f"{key}: the first annotation is taken", FIXED)
                continue
            seen.add(key)
        task = _of_full(row, where) if full else _of_min(row)
        if isinstance(task, Fault):
            yield task
            continue
        if task.annotations > 1:
            detail = f"task {json_files.text(row.get('id'))}: the first of {task.annotations} annotations is taken"
            yield Fault(faults.ANNOTATED_TWICE, where, detail, FIXED)
        found = yield from locate(task.image, index, near=file.parent, where=where, split=split)
        if found is None:
            continue
        yield from _image(task.regions, found, index, masked)


def _of_full(row: dict[str, Any], where: str) -> _Task | Fault:
    """The task of the full JSON: its first annotation that is not cancelled, rather one marked as the groundtruth."""
    image = _image_in(row["data"]) or json_files.text(row.get("file_upload"))
    said = json_files.rows(row.get("annotations", row.get("completions")))
    valid = [one for one in said if not json_files.is_set(one.get("was_cancelled"))]
    valid.sort(key=lambda one: not json_files.is_set(one.get("ground_truth")))
    if not valid:
        state = "was cancelled" if said else "is not annotated"
        return Fault(faults.ANNOTATION_MISSING, image or where, f"task {json_files.text(row.get('id'))} {state}")
    regions = []
    for result in json_files.rows(valid[0].get("result")):
        if isinstance(result.get("value"), dict):
            above = {key: result[key] for key in (*_SIZE, "image_rotation", "parentID") if key in result}
            regions.append({**result["value"], **above})
    return _Task(image, regions, len(valid))


def _of_min(row: dict[str, Any]) -> _Task:
    regions = [region for value in row.values() for region in json_files.rows(value) if _is_region(region)]
    return _Task(_image_in(row), regions)


def _image_in(fields: dict[str, Any]) -> str:
    """The image's name or address: under the usual keys, else what ends like an image or names a local file."""
    said = {key: value for key, value in fields.items() if isinstance(value, str)}
    likely = [value for value in said.values() if _is_image_name(value)]
    return next((said[key] for key in _IMAGE_KEYS if key in said), likely[0] if likely else "")


def _is_image_name(said: str) -> bool:
    try:
        parts = urlsplit(said)
    except ValueError:
        return False
    return any(
        Path(name).suffix.lower() in image_suffixes() for name in (parts.path, *parse_qs(parts.query).get("d", []))
    )


def _is_region(value: dict[str, Any]) -> bool:
    return _shape(value) != ""


def _shape(value: dict[str, Any]) -> str:
    """What is drawn: told by what it is drawn with, as controls for shapes and for labels may be two."""
    if "rle" in value:
        return "brush"
    if "points" in value:
        return "polygon"
    if "radiusX" in value:
        return "ellipse"
    if "height" in value and "width" in value:
        return "rectangle"
    return "keypoint" if "x" in value and "y" in value else ""


def _labels(value: dict[str, Any]) -> list[str]:
    said = [value[key] for key in _LABELS if isinstance(value.get(key), list)]
    return [label for some in said for label in map(json_files.text, some) if label]


def _place(value: dict[str, Any]) -> str:
    """What two results about one region have in common: a shape without classes, and its classes."""
    return str([value.get(key) for key in ("x", "y", "width", "height", "radiusX", "radiusY", "points", "rle")])


def _image(
    regions: list[dict[str, Any]], found: Path, index: ImageIndex, masked: bool
) -> Iterator[AnnotatedImage | Fault]:
    sizes = [json_files.size(*(region.get(key) for key in _SIZE)) for region in regions]
    width, height = next((size for size in sizes if size[0]), (0, 0))
    labelled = {_place(region) for region in regions if _labels(region)}
    drawn = DrawnBoxes(index.name(found))
    for region in regions:
        labels, shape = _labels(region), _shape(region)
        if not shape or (not labels and _place(region) in labelled):
            continue
        if shape == "keypoint" and region.get("parentID"):
            drawn.fixed.append(Fault(faults.KEYPOINTS_UNREADABLE, drawn.where, "a keypoint of a region", FIXED))
            continue
        for label in labels or [""]:
            drawn.add(
                label,
                f"{shape}{' turned' * bool(shape == 'rectangle' and region.get('rotation'))}",
                functools.partial(_corners, shape, region, width, height),
                upright=shape == "rectangle" and not region.get("rotation"),
                mask=functools.partial(_mask, region, width, height) if masked and shape == "polygon" else None,
            )
    yield from drawn.image(found, index, width=width, height=height, fractions=not width)


def _corners(shape: str, region: dict[str, Any], width: int, height: int) -> Corners:
    """The box in pixels, or without a stated size in fractions."""
    across, down = (width or 1) / 100, (height or 1) / 100
    degrees = number(region.get("rotation") or 0)
    if number(region.get("image_rotation") or 0) % 360:
        raise ValueError("in an image that was turned in Label Studio")
    if degrees and not width:
        raise ValueError("is turned, in an image without original_width and original_height")
    if shape == "rectangle":
        x, y, wide, high = numbers(region, "x", "y", "width", "height")
        # Turned clockwise about its top left corner.
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        right, bottom = (wide * across * cos, wide * across * sin), (-high * down * sin, high * down * cos)
        left, top = x * across, y * down
        corners = [
            (left + a * right[0] + b * bottom[0], top + a * right[1] + b * bottom[1]) for a in (0, 1) for b in (0, 1)
        ]
        return box_around(corners)
    if shape == "ellipse":
        x, y, wide, high = numbers(region, "x", "y", "radiusX", "radiusY")
        return box_around_ellipse(x * across, y * down, wide * across, high * down, math.radians(degrees))
    if shape == "polygon":
        return box_around([(x * across, y * down) for x, y in json_files.points(region.get("points"))])
    raise ValueError("brush strokes are not read: export COCO with them" if shape == "brush" else "has no extent")


def _mask(region: dict[str, Any], width: int, height: int) -> masks.Mask:
    across, down = (width or 1) / 100, (height or 1) / 100
    outline = json_files.points(region.get("points"))
    return masks.of_outlines([[side for x, y in outline for side in (x * across, y * down)]])
