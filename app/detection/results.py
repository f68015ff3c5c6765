"""Detections of many images as files: COCO-style JSON, CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.terminal_text import escape_controls

COLUMNS = ("file_name", "width", "height", "class_id", "class", "score", "xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class Found:
    """One detection: class id from 1, score, and the box in pixels `xmin, ymin, xmax, ymax` within the image."""

    class_id: int
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class ImageDetections:
    """One image that was looked at: its name, its size as shown, the drawn image's name, what was found."""

    file_name: str
    width: int
    height: int
    drawn: str
    found: tuple[Found, ...]


def in_pixels(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    """A normalized box `ymin, xmin, ymax, xmax` as `xmin, ymin, xmax, ymax` in pixels, cut at the image's edge."""
    ymin, xmin, ymax, xmax = (min(max(float(side), 0.0), 1.0) for side in box)
    sides = (xmin * width, ymin * height, max(xmin, xmax) * width, max(ymin, ymax) * height)
    return tuple(round(side, 2) for side in sides)  # type: ignore[return-value]


def coco(images: Sequence[ImageDetections], names: Mapping[int, str], info: Mapping[str, Any]) -> dict[str, Any]:
    """COCO's layout: `images`, `categories`, and `annotations` that have a `score` as COCO's results do.

    Image ids count from 1 in the order given, so does `id` of annotations. `bbox` is `x, y, width, height` in pixels.
    """
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, start=1):
        for found in image.found:
            xmin, ymin, xmax, ymax = found.box
            width, height = round(xmax - xmin, 2), round(ymax - ymin, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": found.class_id,
                    "bbox": [xmin, ymin, width, height],
                    "area": round(width * height, 2),
                    "iscrowd": 0,
                    "score": found.score,
                }
            )
    rows = [
        {"id": number, "file_name": p.file_name, "width": p.width, "height": p.height, "drawn": p.drawn}
        for number, p in enumerate(images, start=1)
    ]
    used = set(names) | {found.class_id for image in images for found in image.found}
    categories = [{"id": number, "name": names.get(number) or f"class {number}"} for number in sorted(used)]
    return {"info": dict(info), "images": rows, "categories": categories, "annotations": annotations}


def label_of(class_id: int, names: Mapping[int, str]) -> str:
    """The name of a class as a table has it: on one line, by its number where there is no name."""
    return escape_controls(names.get(class_id) or f"class {class_id}")


def table(images: Sequence[ImageDetections], names: Mapping[int, str]) -> str:
    """A CSV line a detection, corners in pixels; an image without any has no line."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(COLUMNS)
    for image in images:
        for found in image.found:
            label = label_of(found.class_id, names)
            size = (escape_controls(image.file_name), image.width, image.height)
            writer.writerow([*size, found.class_id, label, found.score, *found.box])
    return page.getvalue()
