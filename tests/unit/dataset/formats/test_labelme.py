"""Reading LabelMe's JSON and that of its descendants."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage
from app.dataset.collection import collect
from app.dataset.faults import Fault, IssueCounter
from app.dataset.formats import labelme as reader
from app.dataset.formats import registry
from app.dataset.preparation import prepare
from app.dataset.splits import SplitSelection


def write(path, shapes, image_path=None, **more):
    """A file as LabelMe 5 writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"group_id": None, "flags": {}, **shape} if isinstance(shape, dict) else shape for shape in shapes]
    said = {"version": "5.0.1", "flags": {}, "shapes": rows, "imagePath": image_path or f"{path.stem}.jpg",
            "imageData": None, "imageHeight": 48, "imageWidth": 64}  # fmt: skip
    path.write_text(json.dumps(said | more))
    return path


def shape(kind, points, label="dog", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def read(source, split="", masked=False):
    items = list(reader.read(source, split, masked=masked))
    return [i for i in items if isinstance(i, AnnotatedImage)], [i for i in items if isinstance(i, Fault)]


def corners(box):
    return box.xmin, box.ymin, box.xmax, box.ymax


def png(bitmap):
    buffer = io.BytesIO()
    Image.fromarray(bitmap).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


BITMAP = np.zeros((6, 11), np.uint8)
BITMAP[1:4, 2:9] = 255


@pytest.mark.parametrize(
    ("drawn", "expected", "around"),
    [
        (shape("rectangle", [[40, 20], [10, 5]]), (10, 5, 40, 20), False),
        (shape("rectangle", [[10, 5], [40, 5], [40, 20], [10, 20]]), (10, 5, 40, 20), False),
        (shape("polygon", [[10, 10], [30, 10], [20, 30]]), (10, 10, 30, 30), True),
        ({"label": "dog", "points": [[10, 10], [30, 10], [20, 30]]}, (10, 10, 30, 30), True),
        (shape("circle", [[20, 20], [23, 24]]), (15, 15, 25, 25), True),
        (shape("line", [[30, 4], [20, 9]]), (20, 4, 30, 9), True),
        (shape("linestrip", [[30, 4], [20, 9], [25, 40]]), (20, 4, 30, 40), True),
        (shape("rotation", [[20, 5], [35, 20], [20, 35], [5, 20]], direction=0.78), (5, 5, 35, 35), True),
        (shape("mask", [[5, 7], [15, 12]], mask=png(BITMAP)), (7, 8, 14, 11), True),
    ],
)
def test_boxes_of_shapes(tmp_path, image, drawn, expected, around):
    """Each shape gives the box around it, which is said where it is no box itself."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "a.json", [drawn])
    images, found = read(tmp_path)
    assert [corners(box) for box in images[0].boxes] == [expected] and not images[0].lost
    assert [f.kind for f in found] == [faults.BOX_AROUND] * around
    assert (images[0].width, images[0].height) == (64, 48)


def test_what_has_no_box_is_lost_by_name(tmp_path, image):
    """Points, shapes without a label or numbers, unknown shapes: a fault each; regions to be ignored are no objects."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "a.json", [
        shape("point", [[3, 4]]), shape("rectangle", [[1, 1], [9, 9]], ""), shape("rectangle", [[1, "x"], [9, 9]]),
        shape("hexagon", [[1, 1], [9, 9]]), shape("mask", [[5, 7], [15, 12]], mask="%%"), "no shape",
        shape("polygon", [[1, 1], [9, 9], [4, 8]], "__ignore__"),
    ])  # fmt: skip
    images, _ = read(tmp_path)
    assert not images[0].boxes
    assert [f.kind for f in images[0].lost] == [
        faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN, faults.BOX_UNREADABLE, faults.BOX_UNREADABLE,
        faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN,
    ]  # fmt: skip


def test_outlines_of_a_group_are_one_object(tmp_path, image):
    """Polygons of one label and group are the parts of an object; boxes of a group, and other labels, are not."""
    image(tmp_path / "a.jpg")
    left, right = [[1, 1], [9, 1], [9, 9]], [[30, 20], [40, 20], [40, 30]]
    write(tmp_path / "a.json", [
        shape("polygon", left, group_id=1), shape("polygon", right, group_id=1),
        shape("polygon", right, "cat", group_id=1), shape("rectangle", [[0, 0], [5, 5]], group_id=1),
    ])  # fmt: skip
    images, _ = read(tmp_path, masked=True)
    assert sorted((b.label, *corners(b)) for b in images[0].boxes) == [
        ("cat", 30, 20, 40, 30), ("dog", 0, 0, 5, 5), ("dog", 1, 1, 40, 30)
    ]  # fmt: skip
    assert [len(b.mask.outlines) if b.mask else 0 for b in images[0].boxes] == [2, 1, 0]


def test_mask_lies_where_it_was_drawn(tmp_path, image):
    """A mask's bitmap begins at its first point."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "a.json", [shape("mask", [[5, 7], [15, 12]], mask=png(BITMAP))])
    mask = read(tmp_path, masked=True)[0][0].boxes[0].mask
    assert masks.box_around(mask) == [7, 8, 7, 3] and mask.size == (48, 64)


def test_image_by_the_stem_then_by_its_path(tmp_path, image):
    """The JSON's own stem wins over a stale imagePath; a path with `..` and backslashes tells two of a name apart."""
    for name in ("one/a.jpg", "two/a.jpg", "one/b.jpg", "one/old.jpg"):
        image(tmp_path / name)
    write(tmp_path / "json" / "a.json", [shape("rectangle", [[1, 1], [9, 9]])], "..\\two\\a.jpg")
    write(tmp_path / "json" / "b.json", [shape("rectangle", [[1, 1], [9, 9]])], "old.jpg")
    write(tmp_path / "json" / "c.json", [shape("rectangle", [[1, 1], [9, 9]])], "../one/old.jpg")
    write(tmp_path / "json" / "d.json", [shape("rectangle", [[1, 1], [9, 9]])])
    images, found = read(tmp_path)
    assert [p.name for p in images] == ["two/a.jpg", "one/b.jpg", "one/old.jpg"]
    assert [f.kind for f in found] == [faults.FILENAME_WRONG, faults.IMAGE_MISSING]


def test_image_inside_the_json(tmp_path, image):
    """Without its file the image is taken from imageData, and the records hold it."""
    for seed, name in enumerate("ab"):
        data = image(tmp_path / f"{name}.jpg", seed=seed).read_bytes()
        write(tmp_path / "set" / f"{name}.json", [shape("rectangle", [[16, 12], [32, 24]])],
              imageData=base64.b64encode(data).decode())  # fmt: skip
    card = prepare(tmp_path / "set", tmp_path / "records", workers=1)
    assert card.splits["train"].images == card.splits["eval"].images == 1
    assert [p.name for p in read(tmp_path / "set")[0]] == ["a.jpg", "b.jpg"]


def test_splits_are_folders(tmp_path, image):
    """Folders train and val; JSON of something else beside them is neither a split nor an annotation."""
    for name in ("train/a", "val/b"):
        image(tmp_path / f"{name}.jpg")
        write(tmp_path / f"{name}.json", [shape("rectangle", [[1, 1], [9, 9]])])
    (tmp_path / "package.json").write_text('{"name": "shapes"}')
    assert registry.resolve_reader(tmp_path)[0].NAME == "labelme"
    assert reader.splits(tmp_path) == ("train", "val")
    images, found = read(tmp_path, "val")
    assert [p.name for p in images] == ["val/b.jpg"] and not found


def test_annotated_in_vain_is_not_background(tmp_path, image):
    """An image of points only is left out; one whose list of shapes is empty is background."""
    for name, shapes in (("a", [shape("point", [[3, 4]])]), ("b", []), ("c", [shape("rectangle", [[1, 1], [9, 9]])])):
        image(tmp_path / f"{name}.jpg")
        write(tmp_path / f"{name}.json", shapes)
    issues = IssueCounter()
    found = collect(tmp_path, reader, SplitSelection("", "", False), 0.5, 0, issues)
    assert sorted(p.name for part in found.images.values() for p in part) == ["b.jpg", "c.jpg"]
    assert faults.IMAGE_UNLABELLED in {row.kind for row in issues.rows()}


def test_json_of_something_else_is_not_taken_for_it(tmp_path):
    """Broken files and other tools' files are not recognised."""
    (tmp_path / "a.json").write_text('{"shapes": []}')
    (tmp_path / "b.json").write_text('[{"shapes": [], "imagePath": ""}]')
    (tmp_path / "c.json").write_text("")
    assert reader.recognise(tmp_path) == reader.recognise(tmp_path / "a.json") == ""


def test_beside_what_it_was_converted_to(tmp_path, image, voc_xml):
    """VOC made from LabelMe's files lies beside them: VOC is read, as what is left out is said."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "a.json", [shape("rectangle", [[1, 1], [9, 9]])])
    (tmp_path / "a.xml").write_text(voc_xml([("dog", 1, 1, 9, 9)]))
    found, reason = registry.resolve_reader(tmp_path)
    assert found.NAME == "voc" and "left out" in reason
    assert registry.resolve_reader(tmp_path, "labelme")[0].NAME == "labelme"
