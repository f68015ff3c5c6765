"""Reading keras-yolo3's text files."""

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import keras_yolo3 as reader
from app.dataset.formats import registry
from app.dataset.preparation import prepare


def read(source, split=""):
    items = list(reader.read(source, split))
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Fault))


def add(folder, image, lines, classes="button\nfield", seed=0):
    for number, line in enumerate(lines):
        name = line.split(".jpg")[0] + ".jpg"
        image(folder / name, seed=seed + number)
    (folder / "_annotations.txt").write_text("\n".join(lines))
    (folder / "_classes.txt").write_text(classes)


def test_roboflows_folders(tmp_path, image):
    """Boxes in pixels, classes by the list beside them; names may have blanks; a name alone is a negative."""
    add(tmp_path / "train", image, ["a (1), b.jpg 40,20,60,40,1 5,5,30.5,30,0", "plain.jpg"])
    add(tmp_path / "valid", image, ["c.jpg 1,2,3,4,0"], classes="field", seed=9)
    assert registry.resolve_reader(tmp_path)[0].NAME == "keras_yolo3"
    assert reader.splits(tmp_path) == ("train", "valid")
    images, found = read(tmp_path, "train")
    assert [[(b.label, b.xmin, b.ymin, b.xmax, b.ymax) for b in i.boxes] for i in images] == [
        [("field", 40, 20, 60, 40), ("button", 5, 5, 30.5, 30)], []
    ]  # fmt: skip
    assert [b.label for b in read(tmp_path, "valid")[0][0].boxes] == ["field"]
    assert not found


def test_a_split_that_yolo_labels(tmp_path, image):
    """What lies in another folder in another format is left out and said; the rest is read."""
    add(tmp_path / "train", image, ["a.jpg 4,2,60,40,1"])
    add(tmp_path / "valid", image, ["c.jpg 1,2,30,40,0"], seed=9)
    image(tmp_path / "test" / "Screenshot (78).jpg", seed=20)
    (tmp_path / "test" / "Screenshot (78).txt").write_text("0 0.4 0.5 0.4 0.6\n")
    (tmp_path / "test" / "classes.txt").write_text("button\n")
    card = prepare(tmp_path, tmp_path / "records")
    assert (card.format, card.train.boxes, card.eval.boxes) == ("keras_yolo3", 1, 1)
    assert [(f.kind, f.examples) for f in card.faults] == [(faults.IMAGE_LEFT_OUT, ("test/Screenshot (78).jpg",))]


def test_one_list_with_paths(tmp_path, image):
    """keras-yolo3's own `train.txt`: paths of another machine, and the names of classes somewhere below."""
    image(tmp_path / "VOCdevkit" / "JPEGImages" / "1.jpg")
    (tmp_path / "train.txt").write_text("/home/me/VOCdevkit/JPEGImages/1.jpg 1,2,30,40,1\n")
    (tmp_path / "model_data").mkdir()
    (tmp_path / "model_data" / "voc_classes.txt").write_text("cat\ndog\n")
    assert registry.resolve_reader(tmp_path)[0].NAME == "keras_yolo3"
    assert [b.label for b in read(tmp_path)[0][0].boxes] == ["dog"]


def test_broken_boxes_come_with_their_image(tmp_path, image):
    """Too few numbers, words, a class without a name: lost; an image that is not there is said."""
    add(tmp_path, image, ["a.jpg 1,2,30,40,0 1,2,3,0 1,2,x,4,0 1,2,3,4,7"])
    with open(tmp_path / "_annotations.txt", "a") as file:
        file.write("\nghost.jpg 1,2,30,40,0\nb.jpg 1,2,30,40,0 1,2,30,40,0 1,2,30,40,0\n")
    image(tmp_path / "b.jpg")
    images, found = read(tmp_path)
    assert (len(images[0].boxes), [f.kind for f in images[0].lost]) == (
        1, [faults.BOX_UNREADABLE, faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN]
    )  # fmt: skip
    assert [f.kind for f in found] == [faults.IMAGE_MISSING]


def test_other_text_files_are_not_taken_for_it(tmp_path):
    """Lists of images, notes, and MOT's lines of numbers."""
    (tmp_path / "classes.txt").write_text("dog\n")
    (tmp_path / "train.txt").write_text("a.jpg\nb.jpg\n")
    (tmp_path / "notes.txt").write_text("Taken on 1, 2, and 3 May 2020, in b.jpg\n")
    (tmp_path / "gt.txt").write_text("1,2,3,4,5,6,7,8,9\n")
    assert reader.recognise(tmp_path) == ""
