"""One data set written in each format, by nothing of detbox: what a tool would have written."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from app.dataset import example, records

Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class WrittenImage:
    """An image: `stem` of its file, size in pixels, and boxes: label, (xmin, ymin, xmax, ymax) in pixels."""

    stem: str
    width: int
    height: int
    boxes: tuple[tuple[str, Corners], ...]

    @property
    def name(self) -> str:
        return f"{self.stem}.png"


def write_images(folder: Path, images: Sequence[WrittenImage]) -> None:
    """Images that differ, so that none is another's copy."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        pixels = np.full((image.height, image.width, 3), number % 256, np.uint8)
        pixels[0, 0] = (number // 256, 1, 2)
        Image.fromarray(pixels).save(folder / image.name)


def classes_of(images: Sequence[WrittenImage]) -> list[str]:
    return sorted({label for image in images for label, _ in image.boxes})


def voc(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "JPEGImages", images)
    (root / "Annotations").mkdir()
    for image in images:
        objects = "".join(
            f"<object><name>{escape(label)}</name><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin><xmax>{b[2]}</xmax>"
            f"<ymax>{b[3]}</ymax></bndbox></object>" for label, b in image.boxes
        )  # fmt: skip
        (root / "Annotations" / f"{image.stem}.xml").write_text(
            f"<annotation><filename>{escape(image.name)}</filename><size><width>{image.width}</width>"
            f"<height>{image.height}</height><depth>3</depth></size>{objects}</annotation>"
        )


def coco(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "images", images)
    ids = {label: number for number, label in enumerate(classes_of(images), start=1)}
    rows = [(number, label, b) for number, image in enumerate(images) for label, b in image.boxes]
    document = {
        "images": [{"id": n, "file_name": i.name, "width": i.width, "height": i.height} for n, i in enumerate(images)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": ids[label], "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]]}
            for n, (i, label, b) in enumerate(rows)
        ],
        "categories": [{"id": number, "name": label} for label, number in ids.items()],
    }
    (root / "instances.json").write_text(json.dumps(document))


def yolo(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "images", images)
    (root / "labels").mkdir()
    names = classes_of(images)
    (root / "data.yaml").write_text(json.dumps({"train": "images", "names": names}))
    for image in images:
        lines = [
            f"{names.index(label)} {(b[0] + b[2]) / 2 / image.width:.8f} {(b[1] + b[3]) / 2 / image.height:.8f} "
            f"{(b[2] - b[0]) / image.width:.8f} {(b[3] - b[1]) / image.height:.8f}\n" for label, b in image.boxes
        ]  # fmt: skip
        (root / "labels" / f"{image.stem}.txt").write_text("".join(lines))


def csv_boxes(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "images", images)
    with open(root / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])
        for image in images:
            for label, box in image.boxes:
                table.writerow([image.name, image.width, image.height, label, *box])
            if not image.boxes:
                table.writerow([image.name, image.width, image.height, "", "", "", "", ""])


def tfrecord(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "originals", images)
    ids = {label: number for number, label in enumerate(classes_of(images), start=1)}
    with open(root / "pets.record", "wb") as file:
        for image in images:
            corners = {
                key: [box[i] for _, box in image.boxes] for i, key in enumerate(("xmin", "ymin", "xmax", "ymax"))
            }
            sides = {"x": image.width, "y": image.height}
            values: dict[str, tuple[str, example.Values]] = {
                "image/encoded": ("bytes_list", [(root / "originals" / image.name).read_bytes()]),
                "image/filename": ("bytes_list", [image.name]),
                "image/width": ("int64_list", [image.width]),
                "image/height": ("int64_list", [image.height]),
                "image/object/class/text": ("bytes_list", [label for label, _ in image.boxes]),
                "image/object/class/label": ("int64_list", [ids[label] for label, _ in image.boxes]),
                **{f"image/object/bbox/{key}": ("float_list", [v / sides[key[0]] for v in some])
                   for key, some in corners.items()},
            }  # fmt: skip
            records.append(file, example.encode(values))
    for image in images:
        (root / "originals" / image.name).unlink()


WRITERS: dict[str, Callable[[Path, Sequence[WrittenImage]], None]] = {
    "voc": voc, "coco": coco, "yolo": yolo, "csv": csv_boxes, "tfrecord": tfrecord,
}  # fmt: skip
