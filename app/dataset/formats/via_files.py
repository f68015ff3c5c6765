"""The files that the VGG Image Annotator writes, each parsed to images with their regions."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import text_files
from app.dataset.formats import json_files
from app.dataset.image_index import walk

_COLUMNS = frozenset({"region_shape_attributes", "region_attributes"})
_SHAPES_OF_3 = {
    1: ("point", ("cx", "cy")), 2: ("rect", ("x", "y", "width", "height")), 3: ("circle", ("cx", "cy", "r")),
    4: ("ellipse", ("cx", "cy", "rx", "ry")),
}  # fmt: skip
_OUTLINES_OF_3 = {5: "polyline", 6: "polyline", 7: "polygon", 8: "polyline"}
"""VIA 3 gives shapes by number, and coordinates in a row; 8 is a rectangle by the extreme points of what is in it."""


@dataclass(frozen=True)
class Region:
    """A region: its `shape_attributes` and `region_attributes`."""

    shape: dict[str, Any]
    attributes: dict[str, Any]


@dataclass
class Entry:
    """An image by the name that VIA gives it."""

    image: str
    regions: list[Region] = field(default_factory=list)


def csv_files(source: Path) -> list[Path]:
    """The CSV files of a set that may be one."""
    return walk(source, {".csv"}) if source.is_dir() else [source] if source.suffix.lower() == ".csv" else []


def is_via(path: Path) -> bool:
    """Whether VIA wrote the file."""
    if path.suffix.lower() == ".csv":
        return set(_header(path)) >= _COLUMNS
    if path.suffix.lower() != ".json":
        return False
    return (
        json_files.holds(path, "_via_img_metadata")
        or json_files.holds(path, "filename", "regions", "shape_attributes")
        or json_files.holds(path, "project", "file", "view", "metadata", "fid_list")
    )


def rank(path: Path) -> int:
    """Which of several files about one image is believed: a project before an exported JSON, and that before CSV."""
    if path.suffix.lower() == ".csv":
        return 2
    return 0 if json_files.holds(path, ("_via_img_metadata", "fid_list")) else 1


def entries(path: Path) -> list[Entry]:
    """The images of a file, in its order. Raises ValueError with one line."""
    if path.suffix.lower() == ".csv":
        return _of_csv(path)
    content = json_files.content(path)
    if not isinstance(content, dict):
        raise ValueError("neither a project of VIA nor an export")
    if {"file", "view", "metadata"} <= content.keys():
        return list(_of_version_3(content))
    return list(_of_json(_dict(content.get("_via_img_metadata", content))))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _of_json(images: dict[str, Any]) -> Iterator[Entry]:
    for image in images.values():
        if isinstance(image, dict) and isinstance(image.get("filename"), str):
            said = image.get("regions")
            # In version 1 they are numbered: {"0": {...}, "1": {...}}
            regions = list(said.values()) if isinstance(said, dict) else said if isinstance(said, list) else []
            yield Entry(image["filename"], [_region(region) for region in regions])


def _region(said: Any) -> Region:
    row = _dict(said)
    return Region(_dict(row.get("shape_attributes")), _dict(row.get("region_attributes")))


def _of_csv(path: Path) -> list[Entry]:
    lines = csv.reader(io.StringIO(text_files.read(path).replace("\0", ""), newline=""), skipinitialspace=True)
    found: dict[str, Entry] = {}
    try:
        header = [_column(name) for name in next(lines, [])]
        for line in lines:
            row = dict(zip(header, line, strict=False))
            if not row.get("filename", "").strip():
                continue
            entry = found.setdefault(row["filename"].strip(), Entry(row["filename"].strip()))
            shape, attributes = (row.get(key, "").strip() for key in ("region_shape_attributes", "region_attributes"))
            if shape not in ("", "{}"):
                entry.regions.append(Region(_parsed(shape), _parsed(attributes)))
    except csv.Error as error:
        raise ValueError(f"no CSV: {error}") from None
    return list(found.values())


def _parsed(cell: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(cell))
    except (ValueError, RecursionError):
        return {}


def _header(path: Path) -> list[str]:
    with open(path, "rb") as file:
        line = next(iter(text_files.split_lines(text_files.decode(file.read(4096)))), "")
    return [_column(name) for name in line.split(",")]


def _column(name: str) -> str:
    return name.strip(' "\ufeff#').lower()


def _of_version_3(project: dict[str, Any]) -> Iterator[Entry]:
    """A view shows files; only one of a single file is an image."""
    files, attributes = _dict(project.get("file")), _dict(project.get("attribute"))
    found: dict[str, Entry] = {}
    for key, view in _dict(project.get("view")).items():
        shown = _dict(view).get("fid_list")
        file = _dict(files.get(str(shown[0]))) if isinstance(shown, list) and len(shown) == 1 else {}
        if isinstance(file.get("fname"), str):
            found[str(key)] = Entry(file["fname"])
    for row in _dict(project.get("metadata")).values():
        entry, drawn = found.get(str(_dict(row).get("vid"))), _dict(row).get("xy")
        if entry is not None and isinstance(drawn, list) and drawn:
            values = {
                _name(attributes, key): _value(_dict(attributes.get(key)), value)
                for key, value in _dict(row.get("av")).items()
            }
            entry.regions.append(Region(_shape_of_3(drawn), values))
    yield from found.values()


def _name(attributes: dict[str, Any], key: str) -> str:
    return json_files.text(_dict(attributes.get(key)).get("aname")) or key


def _value(attribute: dict[str, Any], said: Any) -> Any:
    """An attribute's value: an option's text, or of a checkbox (type 2) the options that are ticked."""
    options = _dict(attribute.get("options"))
    if str(attribute.get("type")) == "2" and options:
        return {json_files.text(options.get(key)) or key: True for key in str(said).split(",") if key}
    return json_files.text(options.get(str(said))) or said


def _shape_of_3(drawn: list[Any]) -> dict[str, Any]:
    kind, values = drawn[0], drawn[1:]
    if not isinstance(kind, int):
        return {}
    if kind in _OUTLINES_OF_3:
        return {"name": _OUTLINES_OF_3[kind], "all_points_x": values[0::2], "all_points_y": values[1::2]}
    name, keys = _SHAPES_OF_3.get(kind, (f"shape {kind}", ()))
    return {"name": name, **dict(zip(keys, values, strict=False))}
