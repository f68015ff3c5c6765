"""Reading COCO JSON."""

import json

import pytest

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.formats import coco as reader

ANIMALS = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]


def read(source, split=""):
    items = [one for item in reader.read(source, split) for one in (item, *getattr(item, "lost", ()))]
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Category, Fault))


def test_single_file_beside_images(tmp_path, image, coco):
    """Boxes become corners; classes come in the order of their ids; crowds and areas are carried."""
    image(tmp_path / "images" / "a.jpg")
    file = coco(
        tmp_path / "all.json",
        {"a.jpg": (64, 48)},
        [(1, 3, [4, 5, 10, 20]), (1, 7, [0, 0, 30, 30], {"iscrowd": 1, "area": 77.5})],
        ANIMALS,
    )
    for source in (file, tmp_path):
        images, categories, found = read(source)
        assert [c.name for c in categories] == ["dog", "cat"]
        dog, cat = images[0].boxes
        assert (dog.xmin, dog.ymin, dog.xmax, dog.ymax, dog.is_crowd) == (4, 5, 14, 25, False)
        assert cat.is_crowd and cat.area == 77.5
        assert not found
        assert reader.splits(source) == ()


def test_standard_layout(tmp_path, image, coco):
    """annotations/instances_train2017.json goes with train2017/, whatever else is in annotations/."""
    for split in ("train2017", "val2017"):
        image(tmp_path / split / "000001.jpg")
        coco(
            tmp_path / "annotations" / f"instances_{split}.json",
            {"000001.jpg": (64, 48)},
            [(1, 3, [1, 1, 9, 9])],
            ANIMALS,
        )
    coco(tmp_path / "annotations" / "captions_val2017.json", {"000001.jpg": (64, 48)}, [], [])
    assert reader.splits(tmp_path) == ("train2017", "val2017")
    assert [p.name for p in read(tmp_path, "val2017")[0]] == ["val2017/000001.jpg"]
    assert [p.name for p in read(tmp_path, "train2017")[0]] == ["train2017/000001.jpg"]


def test_roboflow_layout_drops_only_the_super_category(tmp_path, image, coco):
    """A folder a split; category 0 that others name as their super-category is marked as a group."""
    categories = [
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "animals"},
        {"id": 2, "name": "unused", "supercategory": "animals"},
    ]
    for split in ("train", "valid"):
        image(tmp_path / split / "a.jpg")
        coco(tmp_path / split / reader.ROBOFLOW, {"a.jpg": (64, 48)}, [(1, 1, [1, 1, 9, 9])], categories)
    assert reader.splits(tmp_path) == ("train", "valid")
    assert [p.name for p in read(tmp_path, "valid")[0]] == ["valid/a.jpg"]
    assert read(tmp_path, "train")[1] == [
        Category("animals", group=True),
        Category("cat"),
        Category("unused"),
    ]


def test_default_export_of_cvat_has_no_splits(tmp_path, image, coco):
    """A lone instances_default.json is a set without splits."""
    image(tmp_path / "images" / "sub" / "a.png")
    coco(
        tmp_path / "annotations" / "instances_default.json",
        {"sub/a.png": (64, 48)},
        [(1, 3, [1, 1, 9, 9])],
        ANIMALS,
    )
    assert reader.splits(tmp_path) == ()
    assert [p.name for p in read(tmp_path)[0]] == ["images/sub/a.png"]


def test_paths_in_file_names(tmp_path, image, coco):
    """Windows paths and foreign absolute paths are found by name; the longest common tail decides."""
    image(tmp_path / "one" / "a.jpg")
    image(tmp_path / "two" / "a.jpg")
    image(tmp_path / "b.jpg")
    listed = {"two\\a.jpg": (64, 48), "/home/x/b.jpg": (64, 48), "../../etc/passwd": (1, 1)}
    images, _, found = read(coco(tmp_path / "all.json", listed, [], ANIMALS))
    assert [p.name for p in images] == ["two/a.jpg", "b.jpg"]
    assert [(f.kind, f.file) for f in found] == [(faults.IMAGE_MISSING, "../../etc/passwd")]


def test_broken_annotations_are_dropped_and_named(tmp_path, image, coco):
    """Unknown categories, boxes of unknown images and boxes of other shapes cost themselves only."""
    image(tmp_path / "a.jpg")
    rows = [
        (1, 99, [1, 1, 2, 2]),
        (5, 3, [1, 1, 2, 2]),
        (1, 3, [1, 1, 2]),
        (1, 3, None),
        (1, 3, [1, 1, 5, 5]),
    ]
    images, _, found = read(coco(tmp_path / "all.json", {"a.jpg": (64, 48)}, rows, ANIMALS))
    assert len(images[0].boxes) == 1
    assert [f.kind for f in found] == [
        faults.BOX_ORPHAN, faults.LABEL_UNKNOWN, faults.BOX_UNREADABLE, faults.BOX_UNREADABLE
    ]  # fmt: skip
    assert "99" in found[1].detail


def test_ids_as_text_and_twice_declared_names(tmp_path, image, coco):
    """`"1"` and `1` are one id; two categories of one name are one class."""
    image(tmp_path / "a.jpg")
    categories = [{"id": "1", "name": "big  dog"}, {"id": 2, "name": "big dog"}]
    file = coco(
        tmp_path / "all.json",
        {"a.jpg": (64, 48)},
        [("1", 1, [1, 1, 5, 5]), (1, "2", [1, 1, 6, 6])],
        categories,
    )
    images, classes, found = read(file)
    assert [b.label for b in images[0].boxes] == ["big dog", "big dog"]
    assert [c.name for c in classes] == ["big dog"]
    assert [(f.kind, f.action) for f in found] == [(faults.LABEL_TWICE, "fixed")]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"images": 1, "annotations": 2}', '{"images": [[]], "annotations": [3]}']
)
def test_broken_json_is_a_fault(tmp_path, text):
    """Whatever the JSON holds, reading it gives faults and no exception."""
    (tmp_path / "instances.json").write_text(text)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_train.json").write_text(text)
    read(tmp_path)
    read(tmp_path / "instances.json")


def test_other_json_is_not_taken_for_coco(tmp_path):
    """A data set of another tool, or a settings file, is not recognised."""
    (tmp_path / "default.json").write_text(json.dumps({"categories": {}, "items": [{"annotations": []}]}))
    assert reader.recognise(tmp_path) == ""


def test_outlines_are_not_kept(tmp_path, image, coco):
    """Segmentation outlines, most of a COCO file, are thrown away while it is parsed."""
    row = {"segmentation": [[1, 2, 3, 4, 5, 6]], "bbox": [1, 2, 4, 4], "image_id": 1}
    assert reader._reduced(dict(row), masked=False) == {"bbox": [1, 2, 4, 4], "image_id": 1}


def test_one_id_for_several_images(tmp_path, image, coco):
    """Nobody knows whose its boxes are: these images are dropped. One listed twice under its id is one."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        image(tmp_path / name)
    file = coco(tmp_path / "all.json", dict.fromkeys(["a.jpg", "b.jpg", "c.jpg"], (64, 48)),
                [(1, 3, [0, 0, 9, 9]), (3, 3, [0, 0, 9, 9])], ANIMALS)  # fmt: skip
    content = json.loads(file.read_text())
    content["images"][1]["id"] = 1
    content["images"].append(content["images"][2])
    file.write_text(json.dumps(content))
    images, _, found = read(tmp_path)
    assert {p.name for p in images} == {"c.jpg"}
    assert faults.IMAGE_ID_TWICE in {f.kind for f in found}
    assert [f.detail for f in found if f.kind == faults.IMAGE_ID_TWICE] == ["a.jpg, b.jpg"]


def test_one_id_for_several_classes(tmp_path, image, coco):
    """The first class of an id is taken, and the other named."""
    image(tmp_path / "a.jpg")
    categories = [{"id": 1, "name": "dog"}, {"id": 1, "name": "cat"}]
    coco(tmp_path / "all.json", {"a.jpg": (64, 48)}, [(1, 1, [0, 0, 9, 9])], categories)
    images, classes, found = read(tmp_path)
    assert [c.name for c in classes] == ["dog"] == [b.label for b in images[0].boxes]
    assert [(f.kind, f.detail) for f in found] == [(faults.LABEL_ID_TWICE, "category 1: dog, cat")]


def test_ids_as_numbers_with_a_point(tmp_path, image, coco):
    """1.0 is 1: tables make floats of ids."""
    image(tmp_path / "a.jpg")
    coco(tmp_path / "all.json", {"a.jpg": (64, 48)}, [(1.0, 3.0, [0, 0, 9, 9])], ANIMALS)
    assert [b.label for p in read(tmp_path)[0] for b in p.boxes] == ["dog"]


OUTLINE = [40, 20, 120, 20, 120, 80, 40, 80]


@pytest.mark.parametrize(
    "row",
    [
        {"segmentation": [OUTLINE]},
        {"segmentation": [OUTLINE], "bbox": None},
        {"segmentation": [OUTLINE], "bbox": []},
        {"segmentation": [OUTLINE], "bbox": [0, 0, 0, 0]},
        {"segmentation": [OUTLINE[:6], [40, 20, 120, 80]], "bbox": []},
        {"segmentation": OUTLINE},
        {"segmentation": [[[40, 20], [120, 20], [120, 80]]]},
        {"segmentation": json.dumps([OUTLINE]), "bbox": "[]"},
        {"segmentation": [{"size": [100, 200], "counts": [40 * 100 + 20, *[60, 40] * 79, 60, 8020]}]},
        {"segmentation": {"size": [100, 200], "counts": [40 * 100 + 20, *[60, 40] * 79, 60, 8020]}},
        {"keypoints": [40, 20, 2, 0, 0, 0, 120, 80, 1]},
        {"bbox": [80, 50, 60, 80, 90]},
        {"bbox": [50, 10, 60, 80], "attributes": {"rotation": 90.0}},
    ],
)
@pytest.mark.parametrize("masked", [False, True])
def test_what_is_drawn_without_an_upright_box_gives_the_box_around_it(tmp_path, image, row, masked):
    """Outlines, bitmaps, keypoints, rotated boxes; it is said."""
    image(tmp_path / "a.jpg", (200, 100))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 100}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, **row}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    (tmp_path / "result.json").write_text(json.dumps(content))
    items = list(reader.read(tmp_path, masked=masked))
    box = next(item for item in items if isinstance(item, AnnotatedImage)).boxes[0]
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx((40, 20, 120, 80))
    assert next(item.kind for item in items if isinstance(item, Fault)) == faults.BOX_AROUND


def test_a_box_that_a_table_has_made_a_text(tmp_path, image, coco):
    """Lists within CSVs come back as texts."""
    image(tmp_path / "a.jpg")
    file = coco(tmp_path / "all.json", {"a.jpg": (64, 48)}, [(1, 3, "[1, 2, 30, 40]")], ANIMALS)
    box = next(item for item in reader.read(file) if isinstance(item, AnnotatedImage)).boxes[0]
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == (1, 2, 31, 42)


@pytest.mark.parametrize("row", [{}, {"bbox": []}, {"segmentation": []}, {"segmentation": [[1, "x"]]}, {"bbox": "1 2"}])
def test_an_annotation_of_which_nothing_can_be_read_is_lost_with_its_image(tmp_path, image, coco, row):
    """The fault comes with the image, which is so not taken for background."""
    image(tmp_path / "a.jpg")
    file = coco(tmp_path / "all.json", {"a.jpg": (64, 48)}, [(1, 3, None, {"bbox": None, **row})], ANIMALS)
    only = next(item for item in reader.read(file) if isinstance(item, AnnotatedImage))
    assert only.boxes == () and [fault.kind for fault in only.lost] == [faults.BOX_UNREADABLE]


@pytest.mark.parametrize("flags", [{"iscrowd": 1}, {"ignore": 1}, {"iscrowd": "1"}, {"iscrowd": True}])
def test_what_is_not_to_be_measured_is_a_crowd(tmp_path, image, coco, flags):
    """`ignore` means what `iscrowd` does: neither found nor missed."""
    image(tmp_path / "a.jpg")
    file = coco(tmp_path / "all.json", {"a.jpg": (64, 48)}, [(1, 3, [1, 1, 9, 9], flags)], ANIMALS)
    assert read(file)[0][0].boxes[0].is_crowd


@pytest.mark.parametrize(("name", "said"), [("a\u0085b.jpg", "a\u0085b.jpg"), ("a\u2028b.jpg", "a\u2028b.jpg"),
                                            ("my cat.jpg", "/data/local-files/?d=my%20cat.jpg")])  # fmt: skip
def test_an_image_is_found_whatever_separators_are_in_its_name(tmp_path, image, coco, name, said):
    """Those of Unicode are blanks to some tools."""
    image(tmp_path / name)
    images, _, found = read(coco(tmp_path / "all.json", {said: (64, 48)}, [(1, 3, [1, 1, 9, 9])], ANIMALS))
    assert [len(image.boxes) for image in images] == [1] and not found


def test_a_file_of_any_name_in_each_splits_folder(tmp_path, image, coco):
    """The folder names the split."""
    for number, split in enumerate(("train", "val")):
        image(tmp_path / split / "a.jpg", seed=number)
        coco(tmp_path / split / "annotations.json", {"a.jpg": (64, 48)}, [(1, 3, [1, 1, 9, 9])], ANIMALS)
    assert reader.splits(tmp_path) == ("train", "val")
    assert [path.name for path in read(tmp_path, "val")[0]] == ["val/a.jpg"]
