"""One data set written as annotation tools export it to JSON, by nothing of detbox."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from written_sets import WrittenImage, classes_of, write_images


def labelme(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root, images)
    for image in images:
        shapes = [
            {"label": label, "points": [[b[0], b[1]], [b[2], b[3]]], "group_id": None, "shape_type": "rectangle"}
            for label, b in image.boxes
        ]
        said = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": image.name, "imageData": None}
        said |= {"imageHeight": image.height, "imageWidth": image.width}
        (root / f"{image.stem}.json").write_text(json.dumps(said))


def via(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root, images)
    said = {
        f"{image.name}123": {
            "filename": image.name,
            "size": 123,
            "regions": [
                {"shape_attributes": {"name": "rect", "x": b[0], "y": b[1],
                                      "width": b[2] - b[0], "height": b[3] - b[1]},
                 "region_attributes": {"kind": label}} for label, b in image.boxes
            ],
            "file_attributes": {},
        }
        for image in images
    }  # fmt: skip
    (root / "via_project.json").write_text(json.dumps({"_via_settings": {}, "_via_img_metadata": said}))


def createml(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root, images)
    rows = [
        {"image": image.name, "annotations": [
            {"label": label, "coordinates": {"x": (b[0] + b[2]) / 2, "y": (b[1] + b[3]) / 2,
                                             "width": b[2] - b[0], "height": b[3] - b[1]}} for label, b in image.boxes
        ]}
        for image in images
    ]  # fmt: skip
    (root / "_annotations.createml.json").write_text(json.dumps(rows))


def label_studio(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "upload", images)
    tasks = []
    for number, image in enumerate(images):
        results = [
            {"original_width": image.width, "original_height": image.height, "image_rotation": 0,
             "value": {"x": 100 * b[0] / image.width, "y": 100 * b[1] / image.height, "rotation": 0,
                       "width": 100 * (b[2] - b[0]) / image.width, "height": 100 * (b[3] - b[1]) / image.height,
                       "rectanglelabels": [label]},
             "type": "rectanglelabels", "from_name": "label", "to_name": "image"} for label, b in image.boxes
        ]  # fmt: skip
        annotation = {"id": number, "was_cancelled": False, "ground_truth": False, "result": results}
        tasks.append({"id": number, "annotations": [annotation], "data": {"image": f"upload/{image.name}"}})
    (root / "export.json").write_text(json.dumps(tasks))


def supervisely(root: Path, images: Sequence[WrittenImage]) -> None:
    write_images(root / "ds" / "img", images)
    (root / "ds" / "ann").mkdir()
    for image in images:
        objects = [
            {"classTitle": label, "geometryType": "rectangle", "tags": [],
             "points": {"exterior": [[b[0], b[1]], [b[2], b[3]]], "interior": []}} for label, b in image.boxes
        ]  # fmt: skip
        said = {
            "description": "",
            "tags": [],
            "size": {"height": image.height, "width": image.width},
            "objects": objects,
        }
        (root / "ds" / "ann" / f"{image.name}.json").write_text(json.dumps(said))
    classes = [{"title": name, "shape": "rectangle"} for name in classes_of(images)]
    (root / "meta.json").write_text(json.dumps({"classes": classes, "tags": []}))


TOOL_WRITERS: dict[str, Callable[[Path, Sequence[WrittenImage]], None]] = {
    "labelme": labelme, "via": via, "createml": createml, "label_studio": label_studio, "supervisely": supervisely,
}  # fmt: skip
