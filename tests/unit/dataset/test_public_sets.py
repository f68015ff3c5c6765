"""Public data sets that nobody on this project made."""

import pytest

from app.dataset import faults, records, splits
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import registry
from app.dataset.formats import voc as voc_reader
from app.dataset.preparation import prepare


def test_bccd_as_a_whole(test_data):
    """364 images, 4888 annotated boxes of three classes, and no fault in reading."""
    items = list(voc_reader.read(test_data / "bccd"))
    images = [item for item in items if isinstance(item, AnnotatedImage)]
    assert len(images) == 364
    assert sum(len(image.boxes) for image in images) == 4888
    assert {box.label for image in images for box in image.boxes} == {"RBC", "WBC", "Platelets"}
    assert not [item for item in items if isinstance(item, Fault)]


@pytest.mark.parametrize(
    ("named", "images", "boxes"),
    [
        ({}, (205, 87), (2804, 1137)),
        ({"train_split": "trainval", "eval_split": "test"}, (292, 72), (3941, 945)),
    ],
)
def test_bccd_by_splits(test_data, tmp_path, named, images, boxes):
    """The set's own splits; the two boxes of zero size are named wherever they fall."""
    card = prepare(test_data / "bccd", tmp_path / "records", **named)
    assert (card.format, card.classes) == ("voc", ("Platelets", "RBC", "WBC"))
    assert (card.train.images, card.eval.images) == images
    assert (card.train.boxes, card.eval.boxes) == boxes
    assert {row.kind: row.count for row in card.faults} == {
        faults.BOX_EMPTY: 2, **({} if named else {faults.IMAGE_LEFT_OUT: 72})
    }  # fmt: skip
    assert {example.split(":")[0] for example in card.faults[-1].examples} == {
        "JPEGImages/BloodImage_00338.jpg", "JPEGImages/BloodImage_00343.jpg"
    }  # fmt: skip
    rows = list(records.read(sorted((tmp_path / "records").glob("*.tfrecord"))))
    assert len(rows) == sum(images)
    assert sum(len(row["image/object/class/label"]) for row in rows) == sum(boxes)


def test_wheels_yolo(test_data, tmp_path):
    """50 images in the two splits of data.yaml, two classes, boxes that lie where the text files say."""
    card = prepare(test_data / "wheels_yolo", tmp_path / "records")
    assert (card.format, card.classes) == ("yolo", ("Dolly", "Wheels"))
    assert (card.train.images, card.eval.images, card.eval.source) == (40, 10, "val")
    texts = list((test_data / "wheels_yolo" / "labels").rglob("*.txt"))
    lines = [line for path in texts for line in path.read_text().splitlines() if line.strip()]
    assert card.train.boxes + card.eval.boxes == len(lines) > 200
    assert card.faults == ()


def test_rbc_coco(test_data, tmp_path):
    """240 images and 5638 boxes in three splits; the unused category 0 is no class."""
    source = test_data / "rbc_coco"
    reader, _ = registry.resolve_reader(source)
    own = reader.splits(source)
    assert own == ("test", "train", "valid")
    assert splits.select_splits(own, "", "", "").eval == "valid"
    first = prepare(source, tmp_path / "records")
    second = prepare(source, tmp_path / "records", eval_split="test")
    assert first.classes == second.classes == ("rbc", "wbc")
    assert first.train.images + first.eval.images + second.eval.images == 240
    assert first.train.boxes + first.eval.boxes + second.eval.boxes == 5638
    assert [(row.kind, row.count) for row in first.faults] == [(faults.IMAGE_LEFT_OUT, second.eval.images)]
