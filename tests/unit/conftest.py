"""Small data sets and images, made by the tests that need them."""

import json
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def _without_trial(monkeypatch):
    """Commands that are run in this process try no config: that loads TensorFlow, in a process of its own."""
    monkeypatch.setenv("DETBOX_TRIAL_SECS", "0")


def _image(path: Path, size=(64, 48), *, mode="RGB", orientation=None, seed=0, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 8 + 1, size[0] // 8 + 1, 3), np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode)
    if orientation:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    image.save(path, **options)
    return path


def _voc_xml(boxes, *, size=(64, 48), filename="") -> str:
    objects = "".join(
        f"<object><name>{escape(label)}</name><difficult>0</difficult><bndbox><xmin>{x0}</xmin>"
        f"<ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for label, x0, y0, x1, y1 in boxes
    )
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    name = f"<filename>{escape(filename)}</filename>"
    return f"<annotation>{name}{stated}{objects}</annotation>"


@pytest.fixture
def image():
    """`image(path, (width, height), mode=, orientation=, ...)` writes an image and returns its path."""
    return _image


@pytest.fixture
def voc_xml():
    """`voc_xml([(label, xmin, ymin, xmax, ymax)], size=, filename=)` is the text of a VOC annotation."""
    return _voc_xml


@pytest.fixture
def voc(tmp_path):
    """`voc({stem: boxes}, splits={name: stems})` makes a VOC set of 64x48 images and returns its folder."""

    def make(images, splits=None, folder="voc") -> Path:
        root = tmp_path / folder
        for number, (stem, boxes) in enumerate(images.items()):
            _image(root / "JPEGImages" / f"{stem}.jpg", seed=number)
            (root / "Annotations").mkdir(exist_ok=True)
            (root / "Annotations" / f"{stem}.xml").write_text(_voc_xml(boxes, filename=f"{stem}.jpg"))
        for name, stems in (splits or {}).items():
            (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
            (root / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(stems))
        return root

    return make


@pytest.fixture
def coco():
    """`coco(json_path, images, annotations, categories)` writes a COCO file and returns its path.

    images: `{file name: (width, height)}`, ids from 1; annotations: `(image id, category id, bbox, more)`.
    """

    def make(path: Path, images, annotations, categories) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"id": number, "file_name": name, "width": size[0], "height": size[1]}
            for number, (name, size) in enumerate(images.items(), start=1)
        ]
        boxes = [
            {"id": number, "image_id": image, "category_id": category, "bbox": bbox, **dict(*more)}
            for number, (image, category, bbox, *more) in enumerate(annotations, start=1)
        ]
        path.write_text(json.dumps({"images": rows, "annotations": boxes, "categories": categories}))
        return path

    return make


@pytest.fixture
def red_image():
    """Writes an image with a red box `ymin, xmin, ymax, xmax` in pixels; returns its path."""

    def write(path, size=(60, 40), box=(10, 20, 30, 50), **options):
        pixels = np.full((size[1], size[0], 3), 120, np.uint8)
        if box:
            pixels[box[0] : box[2], box[1] : box[3]] = (255, 0, 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels)
        if path.suffix == ".jpg":
            options = {"quality": 100, "subsampling": 0, **options}
        image.save(path, **options)
        return path

    return write
