"""Reading the projects and exports of the VGG Image Annotator."""

import csv
import json
import math

import pytest

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import registry
from app.dataset.formats import via as reader
from app.errors import DatasetError
from tests.unit.refusals import refused

RECT = {"name": "rect", "x": 10, "y": 5, "width": 30, "height": 20}
DOG = (10, 5, 40, 25)


def region(shape=RECT, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes or {"class": "dog"}}


def export(**images):
    """An exported JSON of VIA 2: regions by the image's stem."""
    return {
        f"{stem}.jpg123": {"filename": f"{stem}.jpg", "size": 123, "regions": regions, "file_attributes": {}}
        for stem, regions in images.items()
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def write_csv(path, rows, header="filename"):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([header, "file_size", "file_attributes", "region_count", "region_id",
                         "region_shape_attributes", "region_attributes"])  # fmt: skip
        for name, said in rows:
            shape = json.dumps(said["shape_attributes"]) if said else "{}"
            attributes = json.dumps(said["region_attributes"]) if said else "{}"
            writer.writerow([name, 123, "{}", 1, 0, shape, attributes])


def read(source, split=""):
    items = list(reader.read(source, split, masked=True))
    return [i for i in items if isinstance(i, AnnotatedImage)], [i for i in items if isinstance(i, Fault)]


def said(images):
    return {p.name: [(b.label, b.xmin, b.ymin, b.xmax, b.ymax) for b in p.boxes] for p in images}


VERSION_3 = {
    "project": {"pid": "__VIA_PROJECT_ID__", "data_format_version": "3.1.1", "vid_list": ["1", "2"]},
    "config": {},
    "attribute": {"1": {"aname": "class", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "dog", "1": "cat"}}},
    "file": {n: {"fid": n, "fname": name, "type": 2, "loc": 1} for n, name in (("1", "a.jpg"), ("2", "b.jpg"))},
    "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
    "metadata": {
        "1_x": {"vid": "1", "flg": 0, "z": [], "xy": [2, 10, 5, 30, 20], "av": {"1": "0"}},
        "1_y": {"vid": "1", "flg": 0, "z": [], "xy": [7, 10, 5, 40, 5, 40, 25], "av": {"1": "1"}},
        "1_z": {"vid": "1", "flg": 0, "z": [], "xy": [], "av": {"1": "1"}},
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", ["project", "export", "version 1", "csv", "csv of version 1", "version 3"])
def test_every_kind_of_file(tmp_path, image, kind):
    """A project, an exported JSON or CSV, of each version: the same boxes; an image without regions has none."""
    for name in "ab":
        image(tmp_path / f"{name}.jpg")
    outline = {"name": "polygon", "all_points_x": [10, 40, 40], "all_points_y": [5, 5, 25]}
    regions = [region(), region(outline, **{"class": "cat"})]
    if kind == "project":
        content = {"_via_settings": {}, "_via_img_metadata": export(a=regions, b=[]), "_via_attributes": {}}
    elif kind == "version 1":
        content = export(a=dict(enumerate(regions)), b={})
    else:
        content = VERSION_3 if kind == "version 3" else export(a=regions, b=[])
    if kind.startswith("csv"):
        header = "#filename" if kind == "csv of version 1" else "filename"
        write_csv(tmp_path / "via.csv", [*(("a.jpg", row) for row in regions), ("b.jpg", None)], header)
    else:
        write(tmp_path / "via.json", content)
    assert registry.resolve_reader(tmp_path)[0].NAME == "via"
    images, found = read(tmp_path)
    assert said(images) == {"a.jpg": [("dog", *DOG), ("cat", *DOG)], "b.jpg": []}
    assert [f.kind for f in found] == [faults.BOX_AROUND]
    assert [bool(box.mask) for box in images[0].boxes] == [False, True]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"name": "circle", "cx": 20, "cy": 20, "r": 5.5}, (14.5, 14.5, 25.5, 25.5)),
        ({"name": "ellipse", "cx": 20, "cy": 20, "rx": 10, "ry": 4}, (10, 16, 30, 24)),
        ({"name": "ellipse", "cx": 20, "cy": 20, "rx": 10, "ry": 4, "theta": math.pi / 2}, (16, 10, 24, 30)),
        ({"name": "polyline", "all_points_x": [9, 3, 12], "all_points_y": [4, 8, 30]}, (3, 4, 12, 30)),
        ({"name": "rect", "x": "10", "y": "5", "width": "30", "height": "20"}, DOG),
    ],
)
def test_boxes_of_shapes(tmp_path, image, shape, expected):
    """Each shape gives the box around it."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "via.json", export(a=[region(shape)]))
    box = read(tmp_path)[0][0].boxes[0]
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx(expected)


def test_what_has_no_box_is_lost_by_name(tmp_path, image):
    """Points, shapes without numbers or a class, and two ticked classes: a fault each."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "via.json", export(a=[
        region({"name": "point", "cx": 3, "cy": 4}), region({"name": "rect", "x": 1}), region({}),
        region(**{"class": ""}), region(**{"class": {"dog": True, "cat": True}}), "no region",
        region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}),
    ]))  # fmt: skip
    images, _ = read(tmp_path)
    assert not images[0].boxes
    assert [f.kind for f in images[0].lost] == [
        faults.BOX_UNREADABLE, faults.BOX_UNREADABLE, faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN,
        faults.LABEL_UNKNOWN, faults.LABEL_UNKNOWN, faults.BOX_UNREADABLE,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "label"),
    [
        ({"fruit": "apple"}, "apple"),
        ({"fruit": {"apple": True, "pear": False}}, "apple"),
        ({"quality": "good", "Class Name": "apple"}, "apple"),
        ({"type": "apple", "blurred": "no", "empty": ""}, "apple"),
        ({"name": "Rex", "label": "apple"}, "apple"),
    ],
)
def test_attribute_that_names_the_class(tmp_path, image, attributes, label):
    """The only one that is filled in, else the only one that is called class, label ..."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "via.json", export(a=[region(**attributes)]))
    assert said(read(tmp_path)[0]) == {"a.jpg": [(label, *DOG)]}


@pytest.mark.parametrize("attributes", [{"age": "old", "colour": "red"}, {"name": "Rex", "type": "dog"}])
def test_several_attributes_are_refused(tmp_path, image, attributes):
    """Where two could name the class none is guessed; both are shown."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "via.json", export(a=[region(**attributes)]))
    with refused(DatasetError, where=str(tmp_path)) as caught:
        read(tmp_path)
    assert all(name in caught.value.what for name in attributes)


def test_project_wins_over_what_it_was_exported_to(tmp_path, image):
    """An older export of the same image beside the project is left out, which is said."""
    image(tmp_path / "a.jpg")
    write(tmp_path / "project.json", {"_via_img_metadata": export(a=[region()])})
    write(tmp_path / "export.json", export(a=[region({**RECT, "x": 12})]))
    images, found = read(tmp_path)
    assert said(images) == {"a.jpg": [("dog", *DOG)]}
    assert [f.kind for f in found] == [faults.IMAGE_TWICE]


def test_splits_are_folders(tmp_path, image):
    """As in the layout of Mask R-CNN's balloons: an export in each split's folder."""
    for split, name in (("train", "a"), ("val", "b")):
        image(tmp_path / split / f"{name}.jpg")
        write(tmp_path / split / "via_region_data.json", export(**{name: [region()]}))
    assert sorted(reader.splits(tmp_path)) == ["train", "val"]
    assert said(read(tmp_path, "val")[0]) == {"val/b.jpg": [("dog", *DOG)]}


def test_image_that_is_not_there(tmp_path, image):
    """It is named; addresses mean the file at their end."""
    image(tmp_path / "a.jpg")
    content = export(a=[region()], ghost=[region()])
    content["a.jpg123"]["filename"] = "https://example.org/images/a.jpg"
    write(tmp_path / "via.json", content)
    images, found = read(tmp_path)
    assert list(said(images)) == ["a.jpg"] and [f.kind for f in found] == [faults.IMAGE_MISSING]


def test_json_of_something_else_is_not_taken_for_it(tmp_path, coco):
    """COCO, and a JSON with half of the names."""
    coco(tmp_path / "a.json", {"a.jpg": (64, 48)}, [], [])
    write(tmp_path / "b.json", {"filename": "a", "regions": []})
    (tmp_path / "c.csv").write_text("filename,class\n")
    assert reader.recognise(tmp_path) == ""
