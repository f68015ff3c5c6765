"""Reading what the OIDv4 toolkit downloads."""

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import oidv4 as reader
from app.dataset.formats import registry
from app.dataset.preparation import prepare


def read(source, split=""):
    items = list(reader.read(source, split))
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Fault))


def add(root, image, name, *lines, seed=0):
    """`name`: `train/Apple/x`."""
    path = root / "Dataset" / f"{name}.jpg"
    image(path, seed=seed)
    (path.parent / "Label").mkdir(exist_ok=True)
    (path.parent / "Label" / f"{path.stem}.txt").write_text("\n".join(lines))


def test_lines_and_splits(tmp_path, image):
    """Class names may have blanks; `train` and `validation` are splits; the toolkit's CSV files do not matter."""
    add(tmp_path, image, "train/Traffic light_Apple/1", "Traffic light 4.5 6 30 40.25", "Apple 1 2 3 4")
    add(tmp_path, image, "validation/Apple/2", "Apple 5 6 7 8", seed=1)
    (tmp_path / "csv_folder").mkdir()
    (tmp_path / "csv_folder" / "train-annotations-bbox.csv").write_text("ImageID,LabelName,XMin,XMax,YMin,YMax\n")
    (tmp_path / "classes.txt").write_text("Apple\n")
    (tmp_path / "Dataset" / "validation" / "Apple" / "2.txt").write_text("0 .5 .5 .1 .1\n")
    assert registry.resolve_reader(tmp_path)[0].NAME == "oidv4"
    assert reader.splits(tmp_path) == ("train", "validation")
    images, found = read(tmp_path, "train")
    assert [(b.label, b.xmin, b.ymax) for b in images[0].boxes] == [("Traffic light", 4.5, 40.25), ("Apple", 1, 4)]
    assert not found


def test_an_image_of_two_classes_is_one_image(tmp_path, image):
    """It is downloaded into the folder of each class, with that class's boxes: neither is background for the other."""
    add(tmp_path, image, "train/Apple/1", "Apple 4 6 30 40")
    add(tmp_path, image, "train/Orange/1", "Orange 14 16 40 44")
    add(tmp_path, image, "train/Orange/2", "Orange 14 16 40 44", seed=1)
    card = prepare(tmp_path, tmp_path / "records")
    assert card.train.images + card.eval.images == 2 and card.train.boxes + card.eval.boxes == 3
    assert [(f.kind, f.count) for f in card.faults] == [(faults.IMAGE_TWICE, 1)]


def test_a_class_that_was_downloaded_twice(tmp_path, image):
    """The toolkit appends to its files: the same line again is the same box."""
    add(tmp_path, image, "train/Apple/1", "Apple 4 6 30 40", "Apple 1 2 3 4", "Apple 4 6 30 40")
    assert len(read(tmp_path)[0][0].boxes) == 2


def test_broken_lines_come_with_their_image(tmp_path, image):
    """What is no number or too few is lost; an empty file is an image without objects; no image is said."""
    add(tmp_path, image, "train/Apple/1", "Apple 4 6 30 x", "Apple 1 2 3", "Apple 4 6 30 40")
    add(tmp_path, image, "train/Apple/2")
    (tmp_path / "Dataset" / "train" / "Apple" / "Label" / "ghost.txt").write_text("Apple 1 2 3 4")
    images, found = read(tmp_path)
    assert [(len(i.boxes), [f.kind for f in i.lost]) for i in images] == [(1, [faults.BOX_UNREADABLE] * 2), (0, [])]
    assert [f.kind for f in found] == [faults.IMAGE_MISSING]


def test_yolo_labels_are_not_taken_for_it(tmp_path, image):
    """Lines that begin with a number are YOLO's, in a folder named Label too."""
    add(tmp_path, image, "train/Apple/1", "0 .5 .5 .1 .1")
    assert reader.recognise(tmp_path) == ""
