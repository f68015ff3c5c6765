"""Reading YOLO."""

import pytest
from refusals import refused

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.formats import yolo as reader
from app.errors import DatasetError


def read(source, split=""):
    items = [one for item in reader.read(source, split) for one in (item, *getattr(item, "lost", ()))]
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Category, Fault))


@pytest.fixture
def yolo(tmp_path, image):
    """`yolo(images={path: text or None}, files={path: text})` writes a set; text lies parallel in labels/."""

    def make(images, files):
        for number, (name, text) in enumerate(images.items()):
            path = image(tmp_path / name, seed=number)
            if text is not None:
                label = reader.Path(str(path).replace("/images/", "/labels/")).with_suffix(".txt")
                label.parent.mkdir(parents=True, exist_ok=True)
                label.write_text(text)
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    "table",
    [
        "train: images/train\nval: images/val\nnames: [dog, 'big cat']",
        "path: ../datasets/x\ntrain: images/train\nval: [images/val]\nnames: {1: big cat, 0: dog}",
        "train: ../images/train\nval: ./images/val\nnc: 2\nnames:\n- dog\n- big cat",
        "train: /home/me/x/images/train\nnames: [dog, big cat]\n",
    ],
)
def test_data_yaml(yolo, table):
    """Folders of data.yaml are found below the set, or else by name; boxes are centre and size."""
    source = yolo(
        {"images/train/a.jpg": "1 0.5 0.5 0.5 0.25\n", "images/val/b.jpg": "0 0.25 0.25 0.5 0.5"},
        {"data.yaml": table},
    )
    assert reader.recognise(source) == "data.yaml and 2 text files"
    assert reader.splits(source) == ("train", "val")
    assert [p.name for p in read(source, "val")[0]] == ["images/val/b.jpg"]
    images, categories, found = read(source)
    assert [c.name for c in categories] == ["dog", "big cat"]
    box = images[0].boxes[0]
    assert (box.label, box.xmin, box.ymin, box.xmax, box.ymax) == ("big cat", 0.25, 0.375, 0.75, 0.625)
    assert images[0].fractions and not found


def test_names_beside_the_images(yolo):
    """labelImg's layout: classes.txt and text files in the images' own folder, no splits."""
    source = yolo({"a.jpg": "0 .5 .5 .2 .2", "b.jpg": None}, {"classes.txt": "dog\ncat\n"})
    assert reader.splits(source) == ()
    images, _, _ = read(source)
    assert [(p.name, len(p.boxes)) for p in images] == [("a.jpg", 1), ("b.jpg", 0)]


def test_lists_of_images(yolo):
    """A split may be a text file of paths; a path that leaves the set is not followed."""
    source = yolo(
        {"images/a.jpg": "0 .5 .5 .2 .2", "images/b.jpg": "0 .5 .5 .2 .2"},
        {"data.yaml": "train: train.txt\nval: val.txt\nnames: [dog]",
         "train.txt": "./images/a.jpg\n/etc/passwd\n../x.jpg\n\0",
         "val.txt": "images\\b.jpg"},
    )  # fmt: skip
    assert [p.name for p in read(source, "train")[0]] == ["images/a.jpg"]
    assert [p.name for p in read(source, "val")[0]] == ["images/b.jpg"]


def test_lists_made_on_another_machine(yolo):
    """Of a path that is not there its end is believed; an image that is not there at all is named."""
    source = yolo(
        {"images/a.jpg": "0 .5 .5 .2 .2", "images/b.jpg": "0 .5 .5 .2 .2", "lists/c.jpg": None},
        {"data.yaml": "path: /content/set\ntrain: train.txt\nval: /content/set/val.txt\nnames: [dog]",
         "train.txt": "/content/set/images/a.jpg\nD:\\set\\images\\gone.jpg",
         "val.txt": "data/images/b.jpg"},
    )  # fmt: skip
    images, _, found = read(source, "train")
    assert [p.name for p in images] == ["images/a.jpg"]
    assert [(f.kind, f.example) for f in found] == [
        (faults.IMAGE_MISSING, "D:\\set\\images\\gone.jpg: named in train.txt")
    ]
    assert [p.name for p in read(source, "val")[0]] == ["images/b.jpg"]


def test_a_split_that_leads_out_is_not_followed(yolo, image, tmp_path):
    """`../outside` of data.yaml is not read, even where it is there."""
    table = "path: ..\ntrain: ../outside\nval: images/val\nnames: [dog]"
    source = yolo({"set/images/val/a.jpg": "0 .5 .5 .2 .2", "outside/b.jpg": None}, {"set/data.yaml": table}) / "set"
    assert reader.splits(source) == ("val",)
    assert [p.name for p in read(source)[0]] == ["images/val/a.jpg"]


def test_outlines_and_broken_lines(yolo):
    """An outline becomes the box around it; a line that is no box, or of an unknown class, costs itself only."""
    text = "0 .5 .5 .2 .2\n0 .1 .2 .4 .2 .4 .9 .3 .5\n0 .5 .5\nx y\n7 .5 .5 .2 .2\n1.5 .5 .5 .2 .2"
    source = yolo({"a.jpg": text}, {"classes.txt": "dog"})
    images, _, found = read(source)
    outline = images[0].boxes[1]
    assert (outline.xmin, outline.ymin, outline.xmax, outline.ymax) == (0.1, 0.2, 0.4, 0.9)
    assert len(images[0].boxes) == 2
    kinds = [faults.BOX_UNREADABLE, faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN, faults.BOX_UNREADABLE]
    assert [f.kind for f in found] == kinds


def test_what_is_no_yolo(tmp_path, image):
    """A settings file, or a list of names without text files of boxes, is not enough."""
    (tmp_path / "compose.yaml").write_text("services: {train: x}")
    (tmp_path / "classes.txt").write_text("dog")
    (tmp_path / "readme.txt").write_text("hello there")
    assert reader.recognise(tmp_path) == ""
    (tmp_path / "data.yaml").write_text("names: [dog\ntrain: x")
    assert reader.recognise(tmp_path) == ""


def test_lists_of_names_that_contradict_each_other(yolo):
    """labelImg leaves one in each folder: a longer one goes on where another ends, a different one is refused."""
    images = {"a/1.jpg": "0 .5 .5 .2 .2", "b/2.jpg": "1 .5 .5 .2 .2"}
    source = yolo(images, {"a/classes.txt": "dog\n", "b/classes.txt": "dog\ncat\n"})
    assert [b.label for p in read(source)[0] for b in p.boxes] == ["dog", "cat"]
    (source / "a" / "classes.txt").write_text("cat\ndog\n")
    with refused(DatasetError, about="classes.txt"):
        read(source)
    (source / "data.yaml").write_text("train: a\nval: b\nnames: [dog, cat]")
    assert len(read(source)[0]) == 2


def test_folders_in_any_letters_and_whatever_pillow_reads(tmp_path, image):
    """`Images` and `Labels`; suffixes of all formats, and an image whose suffix tells nothing."""
    names = ("a.jpg", "b.JPG", "c.jfif", "d.jp2", "e.ppm", "f.jpg_large")
    (tmp_path / "data.yaml").write_text("train: Images\nnames: [dog]\n")
    (tmp_path / "Labels").mkdir()
    for number, name in enumerate(names):
        plain = image(tmp_path / f"{number}{'.jpg' if name == 'f.jpg_large' else '.' + name.split('.')[1].lower()}")
        (tmp_path / "Images").mkdir(exist_ok=True)
        plain.rename(tmp_path / "Images" / name)
        (tmp_path / "Labels" / f"{name[0]}.TXT").write_text("0 .5 .5 .2 .2")
    images, _, found = read(tmp_path)
    assert {path.name: len(path.boxes) for path in images} == {f"Images/{name}": 1 for name in names}
    assert found == []


def test_labels_without_image_and_images_without_label(yolo):
    """Both are said; an image without a text file is one without objects, as YOLO has it."""
    source = yolo(
        {"images/train/a.jpg": "0 .5 .5 .2 .2", "images/train/b.jpg": None, "images/val/c.jpg": "0 .5 .5 .2 .2"},
        {"data.yaml": "train: images/train\nval: images/val\nnames: [dog]",
         "labels/train/ghost.txt": "0 .5 .5 .2 .2"},
    )  # fmt: skip
    images, _, found = read(source, "train")
    assert {path.name: len(path.boxes) for path in images} == {"images/train/a.jpg": 1, "images/train/b.jpg": 0}
    assert {(fault.kind, fault.file, fault.action) for fault in found} == {
        (faults.IMAGE_MISSING, "labels/train/ghost.txt", "dropped"),
        (faults.ANNOTATION_MISSING, "images/train/b.jpg", "kept"),
    }


def test_the_sets_own_splits_win_over_what_lies_beside(yolo):
    """Without data.yaml, folders named train and test are the splits, whatever they were collected from."""
    source = yolo({f"{folder}/images/{name}.jpg": "0 .5 .5 .2 .2" for folder, name in
                   (("raw", "a"), ("raw", "b"), ("train", "a"), ("test", "b"))}, {"classes.txt": "dog"})  # fmt: skip
    assert set(reader.splits(source)) == {"train", "test"}
    assert [path.name for path in read(source, "train")[0]] == ["train/images/a.jpg"]


def test_lists_in_another_unicode_form(yolo):
    """A list made on macOS has letters decomposed; the files came from elsewhere."""
    source = yolo({"images/R\u00e4der.jpg": "0 .5 .5 .2 .2", "images/b.jpg": "0 .5 .5 .2 .2"},
                  {"data.yaml": "train: Train.TXT\nval: val.txt\nnames: [dog]",
                   "train.txt": "images/Ra\u0308der.JPG", "val.txt": "Images\\B.jpg"})  # fmt: skip
    images, _, found = read(source, "train")
    assert [path.name for path in images] == ["images/R\u00e4der.jpg"] and not found
    assert [path.name for path in read(source, "val")[0]] == ["images/b.jpg"]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "annotations"),
        ("JPEGImages", "labels"),
        ("images/{}", "labels"),
        ("{}/img", "{}/txt"),
        ("images/{}", "annotations/{}"),
    ],
)
def test_labels_where_yolo_does_not_look_for_them(tmp_path, image, images, labels):
    """They belong to the image of their name, in whatever folder."""
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    for number, (split, stem) in enumerate((("train", "a"), ("val", "b"))):
        image(tmp_path / images.format(split) / f"{stem}.jpg", seed=number)
        (tmp_path / labels.format(split)).mkdir(parents=True, exist_ok=True)
        (tmp_path / labels.format(split) / f"{stem}.txt").write_text(f"{number} .5 .5 .2 .2\n")
    found = {
        item.path.stem: [box.label for box in item.boxes] for item in reader.read(tmp_path) if hasattr(item, "boxes")
    }
    assert found == {"a": ["cat"], "b": ["dog"]}


def test_a_label_that_could_be_of_two_images_is_of_none(tmp_path, image):
    """Frames of one name in both splits, and one text file."""
    (tmp_path / "classes.txt").write_text("cat\n")
    for number, split in enumerate(("train", "val")):
        image(tmp_path / "images" / split / "1.jpg", seed=number)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "1.txt").write_text("0 .5 .5 .2 .2\n")
    assert [item.boxes for item in reader.read(tmp_path) if hasattr(item, "boxes")] == [(), ()]


def test_an_image_without_label_takes_none_of_another_split(tmp_path, image):
    """A label that is left over lies among others that belong to images."""
    (tmp_path / "classes.txt").write_text("cat\n")
    for name in ("train/images/1", "valid/images/2"):
        image(tmp_path / f"{name}.jpg")
    (tmp_path / "train" / "labels").mkdir()
    for name in "12":
        (tmp_path / "train" / "labels" / f"{name}.txt").write_text("0 .5 .5 .2 .2\n")
    found = {item.path.stem: len(item.boxes) for item in reader.read(tmp_path) if hasattr(item, "boxes")}
    assert found == {"1": 1, "2": 0}


def test_predictions_are_no_labels_of_images_without_one(tmp_path, image):
    """What a detector has left in the set's folder: the images that nobody labelled stay as without objects."""
    (tmp_path / "classes.txt").write_text("cat\n")
    for folder in ("labels", "predictions"):
        (tmp_path / folder).mkdir()
    for name in "ab":
        image(tmp_path / "images" / f"{name}.jpg")
        (tmp_path / "predictions" / f"{name}.txt").write_text("0 .5 .5 .2 .2\n")
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .2 .2\n")
    found = {item.path.stem: len(item.boxes) for item in reader.read(tmp_path) if hasattr(item, "boxes")}
    assert found == {"a": 1, "b": 0}


def test_a_label_with_the_images_suffix_in_its_name(tmp_path, image):
    """`a.jpg.txt`, as some tools write."""
    (tmp_path / "classes.txt").write_text("cat\n")
    image(tmp_path / "a.jpg")
    (tmp_path / "a.jpg.txt").write_text("0 .5 .5 .2 .2\n")
    assert [len(item.boxes) for item in reader.read(tmp_path) if hasattr(item, "boxes")] == [1]


def test_paths_of_splits_that_are_laid_out_otherwise(tmp_path, image):
    """data.yaml says `../train/images` and the images are in `images/train`: not all of `images` is both splits."""
    (tmp_path / "Data.YML").write_text("train: ../train/images\nval: ../val/images\nnames: [cat]\n")
    for split in ("train", "val"):
        image(tmp_path / "images" / split / f"{split}.jpg")
        (tmp_path / "labels" / split).mkdir(parents=True)
        (tmp_path / "labels" / split / f"{split}.txt").write_text("0 .5 .5 .2 .2\n")
    for split in ("train", "val"):
        assert [item.path.stem for item in reader.read(tmp_path, split) if hasattr(item, "boxes")] == [split]
