"""Reading Label Studio's exports."""

import json
import math

import pytest

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import label_studio as reader
from app.dataset.formats import registry

RECT = {"x": 10, "y": 25, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["dog"]}
DOG = (20, 25, 120, 75)
"""RECT in an image of 200x100 pixels."""


def result(value, **more):
    return {"original_width": 200, "original_height": 100, "image_rotation": 0, "value": value, "from_name": "label",
            "to_name": "image", "type": "rectanglelabels", "id": "x", **more}  # fmt: skip


def task(image, *annotations, number=1):
    return {"id": number, "annotations": list(annotations), "data": {"image": image}, "predictions": []}


def annotation(*values, **more):
    return {"id": 1, "was_cancelled": False, "ground_truth": False, "result": [result(v) for v in values], **more}


def minimal(image, *values, number=1, **more):
    regions = [{**value, "original_width": 200, "original_height": 100} for value in values]
    return {
        "image": image,
        "id": number,
        "label": regions,
        "annotator": 1,
        "annotation_id": number,
        "lead_time": 2.5,
        **more,
    }


def write(path, tasks):
    path.write_text(json.dumps(tasks))
    return path


def read(source, masked=False):
    items = list(reader.read(source, masked=masked))
    return [i for i in items if isinstance(i, AnnotatedImage)], [i for i in items if isinstance(i, Fault)]


def said(images):
    return {p.name: [(b.label, b.xmin, b.ymin, b.xmax, b.ymax) for b in p.boxes] for p in images}


@pytest.mark.parametrize(
    "address",
    ["a.jpg", "/data/local-files/?d=images%2Fa.jpg", "/data/upload/1/1a2b3c4d-a.jpg", "s3://bucket/images/a.jpg"],
)
@pytest.mark.parametrize("full", [True, False])
def test_hundredths_of_the_image(tmp_path, image, address, full):
    """Both exports, with the addresses that images have there."""
    image(tmp_path / "images" / "a.jpg", (200, 100))
    write(tmp_path / "export.json", [task(address, annotation(RECT)) if full else minimal(address, RECT)])
    assert registry.resolve_reader(tmp_path)[0].NAME == "label_studio"
    images, found = read(tmp_path)
    assert said(images) == {"images/a.jpg": [("dog", *DOG)]} and not found
    assert (images[0].width, images[0].height) == (200, 100)


def test_rotated_about_the_top_left_corner(tmp_path, image):
    """A quarter turn takes what was right of the corner below it, what was below left of it; in pixels."""
    image(tmp_path / "a.jpg", (200, 100))
    write(
        tmp_path / "e.json", [task("a.jpg", annotation({**RECT, "x": 50, "width": 10, "height": 30, "rotation": 90}))]
    )
    images, found = read(tmp_path)
    box = images[0].boxes[0]
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx((70, 25, 100, 45))
    assert [f.kind for f in found] == [faults.BOX_AROUND]
    write(
        tmp_path / "e.json", [task("a.jpg", annotation({**RECT, "x": 50, "width": 10, "height": 20, "rotation": 45}))]
    )
    box, root = read(tmp_path)[0][0].boxes[0], math.sqrt(2)
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx(
        (100 - 20 / root, 25, 100 + 20 / root, 25 + 40 / root)
    )


def test_ellipses_and_outlines(tmp_path, image):
    """The boxes around them; an outline is a mask too."""
    image(tmp_path / "a.jpg", (200, 100))
    write(tmp_path / "e.json", [task("a.jpg", annotation(
        {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0, "ellipselabels": ["dog"]},
        {"points": [[10, 10], [20, 10], [20, 30]], "closed": True, "polygonlabels": ["cat"]},
    ))])  # fmt: skip
    images, found = read(tmp_path, masked=True)
    assert said(images) == {"a.jpg": [("dog", 80, 30, 120, 70), ("cat", 20, 10, 40, 30)]}
    assert [bool(box.mask) for box in images[0].boxes] == [False, True] and len(found) == 2


def test_annotations_that_count(tmp_path, image):
    """Cancelled ones do not; of several the first is taken, rather the groundtruth; a task without any is no image."""
    for name in "abcde":
        image(tmp_path / f"{name}.jpg", (200, 100))
    cat = {**RECT, "rectanglelabels": ["cat"]}
    write(tmp_path / "e.json", [
        task("a.jpg", annotation(cat, was_cancelled=True), annotation(RECT)),
        task("b.jpg", annotation(RECT), annotation(cat)),
        task("c.jpg", annotation(RECT), annotation(cat, ground_truth=True)),
        task("d.jpg", annotation(RECT, was_cancelled=True)), task("e.jpg", annotation()),
    ])  # fmt: skip
    images, found = read(tmp_path)
    assert {name: [b[0] for b in boxes] for name, boxes in said(images).items()} == {
        "a.jpg": ["dog"], "b.jpg": ["dog"], "c.jpg": ["cat"], "e.jpg": []
    }  # fmt: skip
    assert [f.kind for f in found] == [faults.ANNOTATED_TWICE, faults.ANNOTATED_TWICE, faults.ANNOTATION_MISSING]


def test_second_annotator_in_json_min(tmp_path, image):
    """JSON-MIN has a row for each annotator of a task: the first is taken."""
    image(tmp_path / "a.jpg", (200, 100))
    write(tmp_path / "e.json", [minimal("a.jpg", RECT), minimal("a.jpg", {**RECT, "rectanglelabels": ["cat"]})])
    images, found = read(tmp_path)
    assert said(images) == {"a.jpg": [("dog", *DOG)]} and [f.kind for f in found] == [faults.ANNOTATED_TWICE]


def test_shapes_and_labels_by_two_controls(tmp_path, image):
    """A shape without classes is one region with its classes; several classes of a region are a box each."""
    image(tmp_path / "a.jpg", (200, 100))
    plain = {key: RECT[key] for key in ("x", "y", "width", "height", "rotation")}
    write(
        tmp_path / "e.json",
        [task("a.jpg", annotation(plain, {**plain, "labels": ["dog", "pet"]}, {"text": ["words"]}))],
    )
    images, _ = read(tmp_path)
    assert said(images) == {"a.jpg": [("dog", *DOG), ("pet", *DOG)]} and not images[0].lost


def test_what_has_no_box_is_lost_by_name(tmp_path, image):
    """Brush strokes, keypoints, no class, no numbers, an image that was turned: a fault each."""
    image(tmp_path / "a.jpg", (200, 100))
    turned = annotation()
    turned["result"] = [result(v) for v in (
        {"format": "rle", "rle": [0, 1], "brushlabels": ["dog"]}, {"x": 1, "y": 2, "keypointlabels": ["dog"]},
        {**RECT, "x": 11, "rectanglelabels": []}, {**RECT, "x": None}, {"points": [[1]], "polygonlabels": ["dog"]},
    )] + [result(RECT, image_rotation=90)]  # fmt: skip
    write(tmp_path / "e.json", [task("a.jpg", turned)])
    images, _ = read(tmp_path)
    assert not images[0].boxes
    assert [f.kind for f in images[0].lost] == [
        faults.BOX_UNREADABLE, faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN, faults.BOX_UNREADABLE,
        faults.BOX_UNREADABLE, faults.BOX_UNREADABLE,
    ]  # fmt: skip


def test_without_stated_size(tmp_path, image):
    """Upright boxes are fractions; a rotated one can't be placed."""
    image(tmp_path / "a.jpg", (200, 100))
    values = [result(RECT), result({**RECT, "rotation": 10})]
    for value in values:
        del value["original_width"]
    write(tmp_path / "e.json", [task("a.jpg", {"result": values})])
    images, _ = read(tmp_path)
    assert images[0].fractions and said(images) == {"a.jpg": [("dog", 0.1, 0.25, 0.6, 0.75)]}
    assert [f.kind for f in images[0].lost] == [faults.BOX_UNREADABLE]


def test_json_of_something_else_is_not_taken_for_it(tmp_path, coco):
    """COCO, CreateML."""
    coco(tmp_path / "a.json", {"a.jpg": (64, 48)}, [], [])
    (tmp_path / "b.json").write_text('[{"image": "a.jpg", "annotations": [], "label": 1, "coordinates": 1}]')
    assert reader.recognise(tmp_path) == ""
