"""What `inspect` looks at, counts and finds twice."""

import shutil

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from app.dataset import faults, image_file
from app.dataset.annotation import Box
from app.dataset.preparation import prepare
from app.errors import DatasetError
from app.inspection import dataset_view, duplicates
from app.inspection.contact_sheet import CELL, IMAGES, SheetSample, cell, compose
from app.inspection.dataset_view import ImageSummary
from app.inspection.duplicates import DuplicateFinder
from app.inspection.statistics import DatasetStatistics, imbalance

DOG, CAT = ("dog", 8, 6, 40, 30), ("cat", 10, 10, 50, 40)
ARGUMENTS = {"format": "auto", "train_split": "", "eval_split": "", "eval_fraction": 0.25, "seed": 0}


def looked_at(source, **changes):
    """The subject, and its looks by name."""
    made = dataset_view.view_of_dataset(source, **{**ARGUMENTS, **changes})
    return made, {look.name.split("/")[-1]: look for look in made.summaries(lambda: None)}


def kinds(made):
    return {row.kind: (row.action, row.count, row.examples) for row in made.issues.rows()}


def test_every_split_of_the_set_is_looked_at(voc):
    """Its own splits, each image once however many lists name it, and what is in none."""
    names = ["a", "b", "c", "d"]
    source = voc({name: [DOG] for name in names}, {"train": ["a"], "val": ["b"], "trainval": ["a", "b"], "test": ["c"]})
    made, summaries = looked_at(source)
    assert made.roles == {
        "train": "trained on", "val": "evaluated on", "test": "", "trainval": "", dataset_view.NO_SPLIT: ""
    }  # fmt: skip
    assert {name: set(look.splits) for name, look in summaries.items()} == {
        "a.jpg": {"train", "trainval"}, "b.jpg": {"val", "trainval"}, "c.jpg": {"test"},
        "d.jpg": {dataset_view.NO_SPLIT},
    }  # fmt: skip
    assert kinds(made) == {}


def test_a_set_without_splits_is_parted_as_prepare_parts_it(voc, tmp_path):
    """The images held out are the very ones that the records hold out."""
    source = voc({f"p{n}": [DOG] if n % 2 else [CAT] for n in range(8)})
    prepared = prepare(source, tmp_path / "records", eval_fraction=0.25)
    made, summaries = looked_at(source)
    again = {
        look.name.split("/")[-1]: look
        for look in dataset_view.view_of_records(tmp_path / "records", prepared).summaries(int)
    }
    assert {name: look.splits for name, look in summaries.items()} == {
        name: look.splits for name, look in again.items()
    }
    assert made.roles["train"].startswith("trained on: 0.75")
    for name, look in summaries.items():
        sides = [(box.label, box.ymin, box.xmin, box.ymax, box.xmax) for box in look.boxes]
        same = [(box.label, box.ymin, box.xmin, box.ymax, box.xmax) for box in again[name].boxes]
        assert [one[0] for one in sides] == [one[0] for one in same]
        assert np.allclose([one[1:] for one in sides], [one[1:] for one in same])
        assert (look.height, look.width, look.digest) == (48, 64, again[name].digest)


def test_every_fault_is_named(voc):
    """Twelve empty boxes are twelve names, read into three splits or not; a broken image is one more."""
    source = voc({f"p{n:02d}": [DOG, ("cat", 5, 5, 5, 9)] for n in range(12)},
                 {"train": [f"p{n:02d}" for n in range(9)], "val": ["p09", "p10", "p11"],
                  "trainval": [f"p{n:02d}" for n in range(12)]})  # fmt: skip
    (source / "Annotations" / "listed nowhere.xml").write_text("<annotation>")
    broken = source / "JPEGImages" / "p03.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    made, summaries = looked_at(source)
    assert len(summaries) == 11
    _, count, examples = kinds(made)[faults.BOX_EMPTY]
    assert count == len(examples) == 12
    assert kinds(made)[faults.IMAGE_UNREADABLE][1] == 1
    assert "listed nowhere" in kinds(made)[faults.ANNOTATION_UNREADABLE][2][0]


def test_images_of_two_splits_are_named(voc):
    """Training and evaluation share one; a split that holds others wholly is no fault."""
    source = voc({n: [DOG] for n in "abcd"}, {"train": ["a", "b"], "val": ["b", "c"], "all": list("abcd")})
    made, _ = looked_at(source)
    assert kinds(made) == {faults.IMAGE_IN_BOTH: ("kept", 1, ("JPEGImages/b.jpg: train, val",))}


def test_a_set_that_could_not_be_trained_on_is_still_shown(voc):
    """No split named train, no box at all: a note, not a refusal; but a split that was asked for must be there."""
    source = voc({n: [] for n in "ab"}, {"one": ["a"], "two": ["b"]})
    made, summaries = looked_at(source)
    assert len(summaries) == 2 and made.classes == ()
    assert "no split is named train" in made.notes[0]
    with refused(DatasetError, where="/voc", flag="--train_split", about="none-such"):
        looked_at(source, train_split="none-such")


def test_a_set_without_images_is_refused(voc):
    """The most frequent fault is named as the likely cause."""
    source = voc({n: [DOG] for n in "ab"})
    shutil.rmtree(source / "JPEGImages")
    with refused(DatasetError, where="/voc", about="image"):
        looked_at(source)


def look(name, labels=("dog",), splits=("train",), seed=0, side=0.5) -> ImageSummary:
    pixels = np.random.default_rng(seed).integers(0, 256, image_file.MINIATURE[::-1], np.uint8)
    boxes = tuple(Box(label, 0.1, 0.1, 0.1 + side, 0.1 + side) for label in labels)
    return ImageSummary(name, splits, 480, 640, boxes, name.encode(), pixels)


def test_the_census_counts_the_whole_and_each_split():
    """An image of two splits counts in both, once in the whole."""
    counts = DatasetStatistics(("dog", "cat"))
    for one in (look("a", ["dog", "dog"], ("train", "all")), look("b", ["cat"], ("val", "all")), look("c", [])):
        counts.add(one)
    assert counts.total == 3 and counts.images == {"train": 2, "val": 1, "all": 2}
    assert counts.boxes["all"] == {"dog": 2, "cat": 1} and counts.boxes_of == {"dog": 2, "cat": 1}
    assert counts.images_of == {"dog": 1, "cat": 1}
    assert counts.without_boxes == ["c"] and counts.empty["train"] == 1
    images, sides = counts.shapes()
    assert images.tolist() == [[480, 640]] * 3 and np.allclose(sides, 0.5)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"dog": 10, "cat": 10}, "about equally frequent"),
        ({"dog": 30, "cat": 10}, "mildly imbalanced: 3 boxes of dog for each of cat"),
        ({"dog": 1000, "cat": 10}, "heavily imbalanced: 100 boxes of dog for each of cat"),
        ({"dog": 5}, "one class has boxes: dog; without a box: cat"),
    ],
)
def test_imbalance_is_said_in_words(counts, words):
    """With the classes that are the two ends, and those that have no box."""
    assert words in imbalance(("dog", "cat"), counts).summary


def test_imbalance_of_nothing():
    """Without a box there is none."""
    assert imbalance(("dog",), {}) is None


def write(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels.save(path, **options)


def scene(seed):
    """An image with features at every scale, as photographs have."""
    rng = np.random.default_rng(seed)
    cloud = sum(
        np.asarray(Image.fromarray(rng.random((n, n), np.float32)).resize((320, 240), Image.Resampling.BICUBIC))
        for n in (3, 7, 20)
    )
    grey = (255 * (cloud - cloud.min()) / np.ptp(cloud)).astype(np.uint8)
    return Image.fromarray(np.stack([grey, np.roll(grey, 9, 1), 255 - grey], 2))


def test_copies_across_splits_are_found(tmp_path):
    """Byte for byte, saved again as PNG, smaller, brighter: each is a leak; strangers and a mirror image are not."""
    pairs = DuplicateFinder()
    one = scene(0)
    write(tmp_path / "one.jpg", one, quality=95)
    shutil.copy(tmp_path / "one.jpg", tmp_path / "copy.jpg")
    write(tmp_path / "saved.png", one)
    write(tmp_path / "smaller.jpg", one.resize((160, 120)), quality=60)
    write(tmp_path / "brighter.jpg", Image.eval(one, lambda value: min(255, value + 15)))
    write(tmp_path / "mirrored.jpg", one.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    for seed in range(1, 41):
        write(tmp_path / f"stranger{seed}.jpg", scene(seed))
    for path in sorted(tmp_path.iterdir()):
        seen = image_file.probe_image(path, path.name)
        split = "train" if path.name == "one.jpg" else "val"
        pairs.add(ImageSummary(path.name, (split, "all"), 240, 320, (), seen.digest, seen.miniature))
    found = pairs.find()
    leaks = {frozenset((pair.a, pair.b)) for pair in found if pair.leak}
    others = ("copy.jpg", "saved.png", "smaller.jpg", "brighter.jpg")
    assert leaks == {frozenset(("one.jpg", other)) for other in others}
    assert found[0].identical and {found[0].a, found[0].b} == {"one.jpg", "copy.jpg"}
    assert all("stranger" not in pair.a + pair.b and "mirrored" not in pair.a + pair.b for pair in found)


def test_copies_within_a_split_are_no_leak():
    """They are named all the same; three files of the same bytes are two pairs, not three."""
    pairs = DuplicateFinder()
    for name in ("a", "b", "c"):
        one = look(name)
        pairs.add(ImageSummary(name, one.splits, 480, 640, (), b"same", one.miniature))
    assert [(pair.a, pair.b, pair.leak, pair.identical) for pair in pairs.find()][:2] == [
        ("a", "b", False, True), ("a", "c", False, True)
    ]  # fmt: skip
    assert len(pairs.find()) == 2


def test_blank_images_are_not_called_alike():
    """Images without features have the same hash by chance; only their bytes can tell."""
    pairs = DuplicateFinder()
    for number in range(5):
        blank = np.full(image_file.MINIATURE[::-1], 40 * number, np.uint8)
        pairs.add(ImageSummary(f"{number}", ("train",), 48, 64, (), bytes([number]), blank))
    assert pairs.find() == []
    assert DuplicateFinder().find() == []


def test_a_film_s_pairs_are_bounded(monkeypatch):
    """A thousand images that are all alike would be half a million pairs."""
    monkeypatch.setattr(duplicates, "PAIRS_MAX", 10)
    pairs = DuplicateFinder()
    for number in range(40):
        one = look(str(number))
        pairs.add(ImageSummary(one.name, one.splits, 480, 640, (), bytes([number]), one.miniature))
    assert len(pairs.find()) == 10


def test_the_sheet_shows_every_class():
    """A class on one image in a thousand is on the sheet; the same seed chooses the same, another others."""
    summaries = [look(f"p{n}", ["dog"]) for n in range(1000)]
    summaries[517] = look("p517", ["dog", "rare"])
    summaries[801] = look("p801", ["unicorn"])

    def chosen(seed, some):
        sample = SheetSample(seed)
        for one in some:
            sample.add(one)
        assert len(sample.summaries) < 100
        return sample.select(("cat", "dog", "rare", "unicorn"))

    assert {"p517", "p801"} <= set(chosen(0, summaries))
    assert len(chosen(0, summaries)) == len(set(chosen(0, summaries))) == IMAGES
    assert chosen(0, summaries) == chosen(0, reversed(summaries)) != chosen(1, summaries)


@pytest.mark.parametrize("size", [(64, 48), (3000, 40), (20, 900), (1, 1), (800, 600)])
def test_a_sheet_takes_images_of_any_size(size):
    """Each is fitted into its place, boxes and a name of any length with it."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    drawn = cell(pixels, [Box("dog", 0.1, 0.1, 0.9, 0.9)] * 30, {"dog": 1})
    sheet = compose([("x" * 400 + "名.jpg", drawn), ("b", drawn)])
    assert np.asarray(sheet).std() > 0
    assert sheet.width > 2 * 480


def test_the_sheet_shows_images_as_viewers_do(voc, image):
    """EXIF's rotation is applied, and the boxes are where they are then."""
    source = voc({"a": [("dog", 0, 0, 16, 48)]})
    image(source / "JPEGImages" / "a.jpg", (64, 48), orientation=6)
    made, summaries = looked_at(source)
    ((_, pixels),) = made.pixels([look.name for look in summaries.values()])
    assert pixels.shape == (64, 48, 3)
    (box,) = summaries["a.jpg"].boxes
    assert (round(box.xmin, 2), round(box.ymin, 2), round(box.xmax, 2), round(box.ymax, 2)) == (0, 0, 1, 0.25)
    assert kinds(made)[faults.IMAGE_ROTATED][1] == 1


def test_equal_faults_of_one_file_each_count(voc):
    """Three boxes without a name in one XML are three, though it is read once for its split and once for the whole."""
    source = voc({"a": [DOG], "b": [DOG, ("", 1, 1, 9, 9), ("", 1, 1, 9, 9), ("", 2, 2, 8, 8)]}, {"train": ["a", "b"]})
    made, summaries = looked_at(source)
    assert len(summaries) == 2
    assert {kind: count for kind, (_, count, _) in kinds(made).items()} == {faults.LABEL_UNKNOWN: 3}


def test_classes_that_differ_in_case_are_pointed_out(voc):
    """`Dog` beside `dog` is most likely one class."""
    made, _ = looked_at(voc({"a": [DOG], "b": [("Dog", 1, 1, 9, 9)], "c": [CAT]}))
    assert kinds(made) == {faults.LABELS_ALIKE: ("kept", 1, ("Dog, dog",))}


def test_a_file_name_of_two_lines_is_drawn(image):
    """Pillow draws no line breaks, and file names may have them."""
    page = compose([("new\nline\x85.jpg", Image.new("RGB", (8, 8)))])
    assert page.width > 8


@pytest.mark.parametrize("shape", [(3000, 2, 3), (1, 5000, 3), (1, 1, 3)])
def test_lines_of_pixels_are_drawn(shape):
    """An image far longer than wide is drawn, and put on the sheet."""
    drawn = cell(np.zeros(shape, np.uint8), [Box("dog", 0, 0, 1, 1)], {"dog": 1})
    assert compose([("line.png", drawn)]).height > CELL[1]
