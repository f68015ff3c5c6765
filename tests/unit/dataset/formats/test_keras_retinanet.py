"""Reading keras-retinanet's CSV."""

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.formats import keras_retinanet as reader
from app.dataset.formats import registry


def read(source, split=""):
    items = list(reader.read(source, split))
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Fault, Category))


def test_rows_without_a_header(tmp_path, image):
    """A row a box, a path alone is a negative; classes in the order of their ids; broken rows are lost."""
    for name in ("a, b.jpg", "c.jpg", "d.jpg"):
        image(tmp_path / "images" / name)
    (tmp_path / "train.csv").write_text(
        '"images/a, b.jpg",1,2,30,40,dog\n"images/a, b.jpg",5,6,7,8,big cat\nimages/c.jpg,,,,,\n'
        "ghost.jpg,1,2,3,4,dog\n"
        + "images/d.jpg,1,2,3,4,dog\n" * 20
        + "images/d.jpg,1,2,x,4,dog\nimages/d.jpg,1,2,3,4,"
    )
    (tmp_path / "classes.csv").write_text("dog,1\nbig cat,0\n")
    assert registry.resolve_reader(tmp_path)[0].NAME == "keras_retinanet"
    images, found, classes = read(tmp_path)
    assert [c.name for c in classes] == ["big cat", "dog"]
    assert [(b.label, b.xmin, b.ymax) for b in images[0].boxes] == [("dog", 1, 40), ("big cat", 5, 8)]
    assert not images[1].boxes and not images[1].lost
    assert [f.kind for f in images[2].lost] == [faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN]
    assert [f.kind for f in found] == [faults.IMAGE_MISSING]


def test_roboflows_folders(tmp_path, image):
    """`_annotations.csv` in each split, with an empty line for each image without objects, and no list of classes."""
    for split in ("train", "test"):
        image(tmp_path / split / f"{split}.jpg")
        (tmp_path / split / "_annotations.csv").write_text(f"\n\n{split}.jpg,1,2,30,40,dog\n\n")
    assert registry.resolve_reader(tmp_path)[0].NAME == "keras_retinanet"
    assert set(reader.splits(tmp_path)) == {"train", "test"}
    assert [i.name for i in read(tmp_path, "test")[0]] == ["test/test.jpg"]


def test_other_csv_is_not_taken_for_it(tmp_path):
    """Without a list of classes the numbers could be a width and a height; labelImg's CSV has a header."""
    (tmp_path / "boxes.csv").write_text("a.jpg,1,2,3,4,dog\n")
    assert reader.recognise(tmp_path) == ""
    (tmp_path / "classes.csv").write_text("dog,0\n")
    assert reader.recognise(tmp_path)
    (tmp_path / "boxes.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,1,2,dog,1,2,3,4\n")
    assert reader.recognise(tmp_path) == ""
