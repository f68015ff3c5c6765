"""Reading Supervisely's projects."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.formats import registry
from app.dataset.formats import supervisely as reader


def shape(kind, exterior=None, label="dog", **more):
    points = {} if exterior is None else {"points": {"exterior": exterior, "interior": []}}
    return {"id": 1, "classTitle": label, "description": "", "geometryType": kind, "tags": [], **points, **more}


def packed(bitmap, mode="1"):
    """A bitmap as Supervisely packs it: black and white with black transparent, or in the alpha channel."""
    buffer = io.BytesIO()
    if mode == "1":
        picture = Image.fromarray(np.asarray(bitmap, np.uint8))
        picture.putpalette([0, 0, 0, 255, 255, 255])
        picture.save(buffer, "PNG", transparency=0)
    else:
        white = np.full((*bitmap.shape, 3), 255, np.uint8)
        Image.fromarray(np.dstack([white, np.asarray(bitmap, np.uint8) * 255])).save(buffer, "PNG")
    return base64.b64encode(zlib.compress(buffer.getvalue())).decode()


BITMAP = np.zeros((6, 11), bool)
BITMAP[1:4, 2:9] = True


@pytest.fixture
def project(tmp_path, image):
    """`project({"ds/a.jpg": objects}, classes)` writes a project of 64x48 images and returns its folder."""

    def make(images, classes=("dog", "cat")):
        for name, objects in images.items():
            folder, _, file = name.rpartition("/")
            image(tmp_path / folder / "img" / file)
            path = tmp_path / folder / "ann" / f"{file}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            said = {"description": "", "tags": [], "size": {"height": 48, "width": 64}, "objects": objects}
            path.write_text(json.dumps(said))
        rows = [{"title": c, "shape": "any"} if isinstance(c, str) else c for c in classes]
        (tmp_path / "meta.json").write_text(json.dumps({"classes": rows, "tags": [], "projectType": "images"}))
        return tmp_path

    return make


def read(source, split="", masked=False):
    items = list(reader.read(source, split, masked=masked))
    return tuple([i for i in items if isinstance(i, kind)] for kind in (AnnotatedImage, Fault, Category))


@pytest.mark.parametrize(
    ("drawn", "expected", "around"),
    [
        (shape("rectangle", [[40, 20], [10, 5]]), (10, 5, 40, 20), False),
        (shape("polygon", [[10, 10], [30, 10], [20, 30]]), (10, 10, 30, 30), True),
        (shape("line", [[30, 4], [20, 9]]), (20, 4, 30, 9), True),
        (shape("bitmap", bitmap={"data": packed(BITMAP), "origin": [5, 7]}), (7, 8, 14, 11), True),
        (shape("bitmap", bitmap={"data": packed(BITMAP, "alpha"), "origin": [5, 7]}), (7, 8, 14, 11), True),
        (shape("graph", nodes={"n": {"loc": [9, 8]}, "m": {"loc": [30, 20]}}), (9, 8, 30, 20), True),
    ],
)
def test_boxes_of_shapes(project, drawn, expected, around):
    """Each shape gives the box around it; the classes are those of meta.json, in its order."""
    source = project({"ds/a.jpg": [drawn]})
    assert registry.resolve_reader(source)[0].NAME == "supervisely"
    images, found, classes = read(source)
    assert [(b.xmin, b.ymin, b.xmax, b.ymax) for b in images[0].boxes] == [expected]
    assert [f.kind for f in found if f.kind != faults.KEYPOINTS_UNREADABLE] == [faults.BOX_AROUND] * around
    assert [c.name for c in classes] == ["dog", "cat"] and images[0].name == "ds/img/a.jpg"


def test_bitmap_lies_at_its_origin(project):
    """A mask is in the image's size."""
    source = project({"ds/a.jpg": [shape("bitmap", bitmap={"data": packed(BITMAP), "origin": [5, 7]})]})
    mask = read(source, masked=True)[0][0].boxes[0].mask
    assert masks.box_around(mask) == [7, 8, 7, 3] and mask.size == (48, 64)


def test_graph_has_keypoints_in_the_order_of_its_class(project):
    """Nodes that are not there count as not annotated, disabled ones as hidden."""
    config = {"nodes": {"m": {"label": "tail"}, "k": {"label": "ear"}, "n": {"label": "nose"}}, "edges": []}
    nodes = {"n": {"loc": [9, 8]}, "m": {"loc": [30, 20], "disabled": True}}
    source = project({"ds/a.jpg": [shape("graph", nodes=nodes)]}, [{"title": "dog", "geometry_config": config}])
    assert read(source)[0][0].boxes[0].keypoints == ((30, 20, 1), (0, 0, 0), (9, 8, 2))


def test_what_has_no_box_is_lost_by_name(project):
    """Points, no class, no numbers, broken bitmaps, cuboids: a fault each."""
    source = project({"ds/a.jpg": [
        shape("point", [[3, 4]]), shape("rectangle", [[1, 1], [9, 9]], ""), shape("rectangle", [[1, "x"], [9, 9]]),
        shape("bitmap", bitmap={"data": "%%", "origin": [1, 1]}), shape("cuboid"), "no object",
    ]})  # fmt: skip
    images, _, _ = read(source)
    assert not images[0].boxes
    assert [f.kind for f in images[0].lost] == [
        faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN, faults.BOX_UNREADABLE, faults.BOX_UNREADABLE,
        faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN,
    ]  # fmt: skip


def test_data_sets_are_splits_and_their_images_their_own(project):
    """An image of the same name in both: the one beside the annotation."""
    source = project({"train/a.jpg": [shape("rectangle", [[1, 1], [9, 9]])], "val/a.jpg": []})
    assert reader.splits(source) == ("train", "val")
    assert [p.name for p in read(source, "val")[0]] == ["val/img/a.jpg"]
    assert [len(p.boxes) for p in read(source)[0]] == [1, 0]


def test_broken_files_are_named(project):
    """JSON that does not parse, and an image that is not there."""
    source = project({"ds/a.jpg": [], "ds/b.jpg": [], "ds/c.jpg": []})
    (source / "ds" / "ann" / "a.jpg.json").write_text("{")
    (source / "ds" / "img" / "b.jpg").unlink()
    images, found, _ = read(source)
    assert [p.name for p in images] == ["ds/img/c.jpg"]
    assert [f.kind for f in found] == [faults.ANNOTATION_UNREADABLE, faults.IMAGE_MISSING]


def test_json_of_something_else_is_not_taken_for_it(tmp_path, coco):
    """COCO, and a JSON without objects in a folder `ann`."""
    coco(tmp_path / "ann" / "a.json", {"a.jpg": (64, 48)}, [], [])
    (tmp_path / "ann" / "b.jpg.json").write_text('{"size": 1}')
    assert reader.recognise(tmp_path) == ""
