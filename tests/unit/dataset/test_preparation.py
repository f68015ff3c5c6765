"""From a data set to records and their card."""

import dataclasses
import json
import logging
import shutil

import pytest
from refusals import refused

from app.dataset import card as cards
from app.dataset import faults, records, shard_pool
from app.dataset import preparation as module
from app.dataset.annotation import AnnotatedImage
from app.dataset.preparation import prepare
from app.dataset.shards import Shard
from app.errors import DatasetError
from app.protos.label_map import print_label_map
from app.run.files import read_json

DOG, CAT = ("dog", 8, 6, 40, 30), ("cat", 10, 10, 50, 40)
ANIMALS = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]


def read(target, split):
    """The records of a split by image name, and the card's word on them."""
    made = cards.read(target)
    rows = list(records.read(sorted(target.glob(made.splits[split].records))))
    return {row["image/source_id"][0].decode(): row for row in rows}, made.splits[split]


def kinds(card):
    return {row.kind: (row.action, row.count) for row in card.faults}


@pytest.fixture
def animals(voc):
    """Ten images of dogs and two of both, with splits: eight to train on, four to evaluate on."""
    names = [f"p{n:02d}" for n in range(12)]
    boxes = {name: [DOG, CAT] if n % 6 == 0 else [DOG] for n, name in enumerate(names)}
    return voc(boxes, {"train": names[:8], "val": names[8:], "all": names})


def test_records_hold_what_the_card_says(animals, tmp_path):
    """Counts, classes and files of the card are those of the records; the keys are upstream's."""
    target = tmp_path / "records"
    card = prepare(animals, target)
    assert card.classes == ("cat", "dog")
    rows, said = read(target, "train")
    assert (said.images, said.boxes, said.boxes_per_class) == (8, 10, {"cat": 2, "dog": 8})
    assert set(rows) == {f"JPEGImages/p{n:02d}.jpg" for n in range(8)}
    assert (said.shards, len(list(target.glob("train-*")))) == (4, 4)
    rows, said = read(target, "eval")
    assert (said.images, said.boxes, said.shards, said.source) == (4, 4, 1, "val")
    row = rows["JPEGImages/p08.jpg"]
    assert row["image/encoded"][0] == (animals / "JPEGImages" / "p08.jpg").read_bytes()
    assert (row["image/height"], row["image/width"], row["image/format"]) == ([48], [64], [b"jpeg"])
    assert row["image/object/class/label"] == [2] and row["image/object/class/text"] == [b"dog"]
    corners = [row[f"image/object/bbox/{key}"][0] for key in ("xmin", "ymin", "xmax", "ymax")]
    assert corners == pytest.approx([8 / 64, 6 / 48, 40 / 64, 30 / 48])
    assert row["image/object/area"] == pytest.approx([32 * 24])
    assert sorted(path.name for path in target.iterdir())[0] == "dataset.json"


def test_the_card_survives_json_and_gives_the_label_map(animals, tmp_path):
    """Card -> JSON -> Card is the identity; the label map has ids from 1 and escapes."""
    card = prepare(animals, tmp_path / "records")
    assert cards.from_json(json.loads(json.dumps(card.to_json()))) == card == cards.read(tmp_path / "records")
    assert cards.from_json({"classes": 1}) is None and cards.from_json([]) is None
    odd = dataclasses.replace(card, classes=('a "b"\\', "Größe 狗"))
    assert print_label_map(odd.class_names) == (
        'item {\n  id: 1\n  name: "a \\"b\\"\\\\"\n}\nitem {\n  id: 2\n  name: "Größe 狗"\n}\n'
    )


def test_nothing_is_done_twice(animals, tmp_path, monkeypatch, caplog):
    """The same set and arguments: nothing is written, and it is said; a changed file or argument: all is."""
    target = tmp_path / "records"
    first = prepare(animals, target)
    with monkeypatch.context() as patched, caplog.at_level(logging.INFO):
        patched.setattr(shard_pool, "write", None)
        assert prepare(animals, target) == first
        assert "up to date" in caplog.text
    assert prepare(animals, target, max_side=32).train.images == 8
    xml = animals / "Annotations" / "p00.xml"
    xml.write_text(xml.read_text().replace("cat", "cow"))
    again = prepare(animals, target)
    assert "cow" in again.classes and again.fingerprint != first.fingerprint
    next(target.glob("train-*")).unlink()
    assert prepare(animals, target).state == again.state
    assert len(list(target.glob("train-*"))) == 4


def test_a_copy_of_the_set_has_the_same_fingerprint(animals, tmp_path):
    """The fingerprint is that of the contents, wherever they lie."""
    shutil.copytree(animals, tmp_path / "copy", copy_function=shutil.copyfile)
    one, two = prepare(animals, tmp_path / "a"), prepare(tmp_path / "copy", tmp_path / "b")
    assert one.fingerprint == two.fingerprint and one.state != two.state


def test_interrupted_work_leaves_the_old_records(animals, tmp_path, monkeypatch):
    """What stops half-way leaves neither a half shard nor a temporary folder, and the old records whole."""
    target = tmp_path / "out" / "records"
    card = prepare(animals, target)

    def interrupted(done, of):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(animals, target, max_side=16, progress=interrupted)
    assert cards.read(target) == card
    assert [path.name for path in target.parent.iterdir()] == ["records"]


def test_a_folder_of_other_files_is_not_replaced(animals, tmp_path):
    """Records would take the place of a whole folder: it must hold nothing else."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("years of work")
    with refused(DatasetError, where="/home", about="thesis.txt"):
        prepare(animals, tmp_path / "home")
    assert (tmp_path / "home" / "thesis.txt").exists()


def test_two_processes_write_the_same_bytes_as_one(animals, tmp_path, monkeypatch):
    """The number of workers changes nothing in the records; progress ends at all images."""
    prepare(animals, tmp_path / "one", workers=1)
    monkeypatch.setattr(shard_pool, "ALONE_BELOW", 0)
    seen = []
    prepare(animals, tmp_path / "two", workers=2, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (12, 12)
    files = sorted(path.name for path in (tmp_path / "one").glob("*.tfrecord"))
    assert files and all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)


def test_interrupted_workers_stop_at_once(voc, tmp_path, monkeypatch):
    """Workers give up after the image in hand, not at the end of a shard of thousands."""
    monkeypatch.setattr(shard_pool, "ALONE_BELOW", 0)
    path = voc({"a": [DOG]}) / "JPEGImages" / "a.jpg"
    many = tuple(AnnotatedImage(path, str(n), (), 64, 48) for n in range(6_000))
    plan = [Shard(tmp_path / f"{n}.tfrecord", "train", many, {}, 0) for n in range(2)]

    def interrupted(done, of):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shard_pool.write(plan, 2, interrupted)
    sizes = [shard.path.stat().st_size for shard in plan if shard.path.exists()]
    assert 0 < sum(sizes) < len(many) * path.stat().st_size


def test_shards(animals, tmp_path):
    """As many as asked for, but none without an image; else a hundred images each, four to sixty-four."""
    assert prepare(animals, tmp_path / "a", num_shards=3).train.shards == 3
    assert prepare(animals, tmp_path / "b", num_shards=50).train.shards == 8
    counts = [module._shard_count(images, part) for images, part in
              ((3, "train"), (401, "train"), (10**6, "train"), (99, "eval"), (201, "eval"))]  # fmt: skip
    assert counts == [4, 5, 64, 1, 3]


def test_the_order_of_training_images_is_by_seed(animals, tmp_path):
    """Training images are shuffled across shards, the same way for the same seed."""

    def order(name, seed):
        card = prepare(animals, tmp_path / name, seed=seed)
        rows = records.read(sorted((tmp_path / name).glob(card.train.records)))
        return [row["image/source_id"] for row in rows]

    assert order("a", 1) == order("b", 1) != order("c", 2)
    assert order("a", 1) != sorted(order("a", 1))


def test_overlapping_splits_are_refused_when_named(animals, tmp_path):
    """Training on what is evaluated is refused where the user asked for it, with the remedy."""
    with refused(DatasetError, where="/voc", flag="--train_split", about="4 images"):
        prepare(animals, tmp_path / "records", train_split="all")
    with refused(DatasetError, where="/voc", flag="--eval_split", about="'dev'"):
        prepare(animals, tmp_path / "records", eval_split="dev")
    assert not (tmp_path / "records").exists()


def test_overlap_of_the_sets_own_splits_is_taken_out_of_training(voc, tmp_path):
    """Where a set's own train and val share images, evaluation keeps them, and it is counted."""
    root = voc({"a": [DOG], "b": [DOG], "c": [DOG]}, {"train": ["a", "b"], "val": ["b", "c"]})
    card = prepare(root, tmp_path / "records")
    assert (card.train.images, card.eval.images) == (1, 2)
    assert kinds(card)[faults.IMAGE_IN_BOTH] == ("dropped", 1)


@pytest.fixture
def leaking(voc):
    """`leaking(number)`: a set of so many images, the first in `train` and under another name in `val`."""

    def make(number, splits=True):
        names = [f"p{n:02d}" for n in range(number)]
        lists = {"train": names[:-2], "val": names[-2:]}
        root = voc({name: [DOG] for name in names}, lists if splits else None)
        shutil.copyfile(root / "JPEGImages" / "p00.jpg", root / "JPEGImages" / f"{names[-1]}.jpg")
        return root

    return make


def test_the_same_image_in_both_splits_is_refused_with_the_count(leaking, tmp_path):
    """Byte for byte, under whatever name: nothing is written."""
    with refused(DatasetError, where="/voc", flag="--leak=drop", about="1 image"):
        prepare(leaking(10), tmp_path / "records")
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(("number", "leak"), [(10, "drop"), (9, "")])
def test_the_same_image_is_taken_out_of_training(leaking, tmp_path, number, leak):
    """Where that is asked for, or the set is a toy; it is counted and named."""
    card = prepare(leaking(number), tmp_path / "records", leak=leak)
    assert (card.train.images, card.eval.images) == (number - 3, 2)
    assert kinds(card) == {faults.IMAGE_COPIED: ("dropped", 1)}
    assert card.faults[0].examples[0].startswith("JPEGImages/p00.jpg: ")


def test_copies_are_not_held_out(leaking, tmp_path):
    """Of the part that detbox holds out itself, images that are trained on under another name are trained on too."""
    for seed in range(5):
        card = prepare(leaking(10, splits=False), tmp_path / f"{seed}", seed=seed, eval_fraction=0.4)
        assert card.train.images + card.eval.images == 10
        digests = [{row["image/key/sha256"][0] for row in read(tmp_path / f"{seed}", split)[0].values()}
                   for split in ("train", "eval")]  # fmt: skip
        assert not digests[0] & digests[1]


def test_a_set_of_one_image_under_many_names(voc, tmp_path):
    """It is an only image: what it measures means nothing, and it is said; it is not refused."""
    root = voc({name: [DOG] for name in "abcd"}, {"train": ["a", "b"], "val": ["c", "d"]})
    for name in "bcd":
        shutil.copyfile(root / "JPEGImages" / "a.jpg", root / "JPEGImages" / f"{name}.jpg")
    card = prepare(root, tmp_path / "records")
    assert (card.train.images, card.eval.images) == (2, 2)
    assert kinds(card) == {faults.ONLY_IMAGE: ("kept", 1)}


def test_without_own_splits_a_fraction_is_held_out(voc, tmp_path):
    """A fifth is evaluated on; a class with two images is in both parts."""
    root = voc({f"p{n}": [CAT] if n < 2 else [DOG] for n in range(20)})
    card = prepare(root, tmp_path / "records", eval_fraction=0.2)
    assert (card.train.images, card.eval.images) == (15, 5) or card.eval.images == 4
    assert card.train.boxes_per_class["cat"] == card.eval.boxes_per_class["cat"] == 1


def test_images_listed_twice_are_joined(tmp_path, image, coco):
    """Two entries of one image are one image with the boxes of both, each once."""
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        image(tmp_path / "set" / name, seed=seed)
    file = coco(
        tmp_path / "set" / "all.json",
        {"a.jpg": (64, 48), "b.jpg": (64, 48)},
        [(1, 3, [1, 1, 9, 9]), (2, 3, [1, 1, 9, 9]), (3, 3, [1, 1, 9, 9]), (3, 7, [5, 5, 9, 9])],
        ANIMALS,
    )
    content = json.loads(file.read_text())
    content["images"].append({"id": 3, "file_name": "a.jpg", "width": 64, "height": 48})
    file.write_text(json.dumps(content))
    card = prepare(file, tmp_path / "records")
    assert kinds(card) == {faults.IMAGE_TWICE: ("fixed", 1)}
    rows = {**read(tmp_path / "records", "train")[0], **read(tmp_path / "records", "eval")[0]}
    assert rows["a.jpg"]["image/object/class/text"] == [b"dog", b"cat"]


def test_classes_of_coco(tmp_path, image, coco):
    """Ids become 1..n by category id; an unused super-category goes, an unused class stays."""
    categories = [
        {"id": 0, "name": "zoo", "supercategory": "none"},
        {"id": 90, "name": "ape", "supercategory": "zoo"},
        {"id": 5, "name": "yak", "supercategory": "zoo"},
        {"id": 7, "name": "gnu", "supercategory": "zoo"},
    ]
    for split in ("train", "valid"):
        image(tmp_path / "set" / split / "a.jpg")
        coco(
            tmp_path / "set" / split / "_annotations.coco.json",
            {"a.jpg": (64, 48)},
            [(1, 90, [1, 1, 9, 9], {"iscrowd": 1}), (1, 5, [2, 2, 9, 9])],
            categories,
        )
    card = prepare(tmp_path / "set", tmp_path / "records")
    assert card.classes == ("yak", "gnu", "ape")
    row = read(tmp_path / "records", "eval")[0]["valid/a.jpg"]
    assert row["image/object/class/label"] == [3, 1] and row["image/object/is_crowd"] == [1, 0]


def test_faults_are_mended_counted_and_named(voc, voc_xml, image, tmp_path):
    """One of each: the records hold what could be saved, the card says what became of the rest."""
    root = voc({f"p{n}": [DOG] for n in range(9)}, {"train": [f"p{n}" for n in range(8)], "val": ["p8"]})
    xml = root / "Annotations"
    boxes = [("dog", 40, 30, 8, 6), ("dog", 5, 5, 5, 9), ("dog", -20, 6, 40, 30), ("dog", 70, 6, 90, 30)]
    (xml / "p0.xml").write_text(voc_xml(boxes, filename="p0.jpg"))
    (root / "JPEGImages" / "p1.jpg").write_bytes((root / "JPEGImages" / "p1.jpg").read_bytes()[:500])
    (root / "JPEGImages" / "p2.jpg").unlink()
    (xml / "p3.xml").write_text("<annotation>")
    (xml / "p4.xml").write_text(voc_xml([DOG], size=None))
    (xml / "p5.xml").write_text(voc_xml([("dog", 16, 12, 80, 60)], size=(128, 96)))
    image(root / "JPEGImages" / "p6.jpg", orientation=6)
    (xml / "p7.xml").write_text(voc_xml([]))
    card = prepare(root, tmp_path / "records")
    assert kinds(card) == {
        faults.BOX_SWAPPED: ("fixed", 1),
        faults.BOX_EMPTY: ("dropped", 1),
        faults.BOX_CLIPPED: ("fixed", 1),
        faults.BOX_OUTSIDE: ("dropped", 1),
        faults.IMAGE_UNREADABLE: ("dropped", 1),
        faults.IMAGE_MISSING: ("dropped", 1),
        faults.ANNOTATION_UNREADABLE: ("dropped", 1),
        faults.SIZE_MISSING: ("fixed", 1),
        faults.SIZE_SCALED: ("fixed", 1),
        faults.IMAGE_ROTATED: ("fixed", 1),
        faults.IMAGE_UNLABELLED: ("dropped", 1),
    }
    rows, said = read(tmp_path / "records", "train")
    assert (said.images, said.images_without_boxes, said.boxes) == (5, 1, 5)
    assert sorted(rows) == [f"JPEGImages/p{n}.jpg" for n in (0, 4, 5, 6, 7)]
    assert rows["JPEGImages/p0.jpg"]["image/object/bbox/xmin"] == pytest.approx([8 / 64, 0])
    assert rows["JPEGImages/p5.jpg"]["image/object/bbox/xmax"] == pytest.approx([80 / 128])
    turned = rows["JPEGImages/p6.jpg"]
    assert (turned["image/width"], turned["image/height"]) == ([48], [64])
    assert turned["image/object/bbox/xmin"] == pytest.approx([1 - 30 / 48])
    assert turned["image/object/bbox/ymin"] == pytest.approx([8 / 64])


def test_max_side_shrinks_images_and_areas(animals, tmp_path):
    """Stored images shrink, fractions stay, areas are in stored pixels."""
    prepare(animals, tmp_path / "records", max_side=32)
    row = read(tmp_path / "records", "eval")[0]["JPEGImages/p08.jpg"]
    assert (row["image/width"], row["image/height"]) == ([32], [24])
    assert row["image/object/bbox/xmin"] == pytest.approx([8 / 64])
    assert row["image/object/area"] == pytest.approx([32 * 24 / 4])


def refusal_of(source, target, **arguments):
    with pytest.raises(DatasetError) as caught:
        prepare(source, target, **arguments)
    assert caught.value.exit_code == 4
    assert not target.exists() and not list(target.parent.glob(".records*"))
    return str(caught.value)


def test_sets_with_nothing_in_them_are_refused(voc, voc_xml, tmp_path):
    """No boxes, no readable image, an empty split: one line, and nothing half-written."""
    target = tmp_path / "out" / "records"
    target.parent.mkdir()
    assert "no image has a box" in refusal_of(voc({"a": [], "b": []}, folder="1"), target)
    assert "no usable image for evaluation (val)" in refusal_of(
        voc({"a": [DOG]}, {"train": ["a"], "val": ["ghost"]}, folder="2"), target
    )
    root = voc({"a": [DOG], "b": [DOG]}, {"train": ["a"], "val": ["b"]}, folder="3")
    (root / "JPEGImages" / "a.jpg").write_bytes(b"\xff\xd8")
    assert "no usable image for training" in refusal_of(root, target)
    assert "image not readable" in refusal_of(root, target)
    outside = voc({"a": [("dog", 90, 90, 99, 99)], "b": [DOG]}, {"train": ["a"], "val": ["b"]}, folder="5")
    assert "no usable image for training (train)" in refusal_of(outside, target)


def test_an_only_image_is_trained_and_evaluated_on(voc, tmp_path):
    """A set of one image is enough to see whether a model can learn it; the card says that its metrics are void."""
    card = prepare(voc({"a": [DOG]}), tmp_path / "records")
    assert (card.train.images, card.eval.images, card.eval.source) == (1, 1, "the whole set")
    assert kinds(card) == {faults.ONLY_IMAGE: ("kept", 1)}


def test_a_full_disk_is_one_line(animals, tmp_path, monkeypatch):
    """The system's errors while writing name the place and keep the exit code of the data set."""

    def full(*_):
        raise OSError(28, "No space left on device", "/models/x")

    monkeypatch.setattr(shard_pool, "write", full)
    assert "/models/x: No space left on device" in refusal_of(animals, tmp_path / "records")


def test_records_may_lie_in_the_set_itself(animals):
    """Records inside the source do not make the source look changed."""
    target = animals / "records"
    first = prepare(animals, target)
    assert prepare(animals, target) == first
    assert read_json(target / "dataset.json")["state"] == first.state


def test_the_cause_is_named_and_not_what_follows_from_it(animals, tmp_path):
    """Where no annotation finds its image, every image is without annotation too: the first is the cause."""
    for path in (animals / "Annotations").iterdir():
        path.rename(path.with_name(f"other_{path.name}"))
        path.with_name(f"other_{path.name}").write_text("<annotation></annotation>")
    shutil.rmtree(animals / "ImageSets")
    with refused(DatasetError, where="/voc", about="image"):
        prepare(animals, tmp_path / "records")


def test_the_log_names_files_and_warns_of_an_empty_evaluation(voc, tmp_path, caplog):
    """Two files are both named, of four the first three; without boxes to evaluate on nothing can be measured."""
    empty = ("dog", 5, 5, 5, 9)
    boxes = {name: [DOG, empty] for name in "ab"} | {name: [] for name in "cdef"}
    source = voc(boxes, {"train": ["a", "b"], "val": ["c", "d", "e", "f"]})
    for name in "cdef":
        xml = source / "Annotations" / f"{name}.xml"
        xml.write_text(xml.read_text().replace("<width>64</width>", ""))
    with caplog.at_level(logging.INFO):
        prepare(source, tmp_path / "records")
    assert "2 x box of zero size, dropped: JPEGImages/" in caplog.text
    assert "4 x annotation without size, fixed, e.g. Annotations/c.xml" in caplog.text
    assert "no evaluation image has a usable box" in caplog.text and "--eval_split" in caplog.text


def test_classes_that_differ_in_case_are_on_the_card(voc, tmp_path):
    """They stay two classes, and the card says so."""
    boxes = {name: [DOG] for name in "ab"} | {name: [("DOG", 1, 1, 9, 9)] for name in "cd"}
    card = prepare(voc(boxes), tmp_path / "records")
    assert card.classes == ("DOG", "dog")
    assert kinds(card)[faults.LABELS_ALIKE] == ("kept", 1)


def test_two_splits_that_are_one(voc, tmp_path):
    """Where all that is trained on would be evaluated on, the line says so, and how a part is held out instead."""
    source = voc({"a": [DOG], "b": [DOG]}, {"train": ["a"], "val": ["a", "b"]})
    with refused(DatasetError, where="/voc", flag="--train_split", about="'train'"):
        prepare(source, tmp_path / "records")


def test_why_no_box_is_usable(voc, tmp_path):
    """The most frequent fault is cited, with a file."""
    source = voc({name: [("dog", 500, 500, 600, 600)] for name in "abc"})
    with refused(DatasetError, where="/voc", about="training"):
        prepare(source, tmp_path / "records")


def test_images_without_a_usable_annotation_are_no_background(voc, voc_xml, tmp_path):
    """Whatever took the last box away, before or while it is written; an image that has none is background."""
    boxes = {"a": [DOG], "b": [DOG], "zero": [("dog", 5, 5, 5, 9)], "out": [("dog", 90, 90, 99, 99)], "none": []}
    root = voc(boxes)
    (root / "Annotations" / "a.xml").write_text(
        voc_xml([DOG, ("dog", 5, 5, 5, 9)], filename="a.jpg").replace("</annotation>", "<object/></annotation>")
    )
    left = prepare(root, tmp_path / "records")
    assert left.train.images + left.eval.images == 3
    assert left.train.images_without_boxes + left.eval.images_without_boxes == 1
    assert kinds(left)[faults.IMAGE_UNLABELLED] == ("dropped", 2)
    kept = prepare(root, tmp_path / "kept", keep_unreadable=True)
    assert kept.train.images + kept.eval.images == 5
    assert kinds(kept)[faults.IMAGE_UNLABELLED] == ("kept", 2)


def test_images_that_nothing_names_are_counted(voc, image, tmp_path):
    """Without an annotation, or, where the set has splits of its own, in none of those that are used."""
    root = voc({"a": [DOG], "b": [DOG]})
    image(root / "JPEGImages" / "c.jpg", seed=7)
    assert kinds(prepare(root, tmp_path / "1")) == {faults.ANNOTATION_MISSING: ("dropped", 1)}
    root = voc({name: [DOG] for name in "abd"}, {"train": ["a"], "val": ["b"]}, folder="listed")
    assert kinds(prepare(root, tmp_path / "2")) == {faults.IMAGE_LEFT_OUT: ("dropped", 1)}


def test_crowds_alone_are_nothing_to_measure(tmp_path, image, caplog):
    """A warning where all that is to be evaluated on is around several objects."""
    for part, several in (("train", False), ("valid", True)):
        image(tmp_path / "set" / part / "a.jpg", seed=several)
        objects = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 20, 20], "iscrowd": int(several)}]
        document = {
            "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
            "annotations": objects, "categories": [{"id": 1, "name": "cat"}],
        }  # fmt: skip
        (tmp_path / "set" / part / "_annotations.coco.json").write_text(json.dumps(document))
    card = prepare(tmp_path / "set", tmp_path / "records", workers=1)
    assert (card.eval.crowds, card.eval.difficult, card.train.crowds) == (1, 0, 0)
    assert "nothing to measure" in caplog.text and "--eval_split" in caplog.text
    assert "PASCAL" not in caplog.text
