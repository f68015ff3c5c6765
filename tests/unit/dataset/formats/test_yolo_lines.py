"""Which columns of YOLO's lines are a box, an outline or keypoints."""

import math
import random

import pytest
from refusals import refused

from app.dataset.annotation import AnnotatedImage
from app.dataset.formats import yolo as reader
from app.dataset.formats.yolo_lines import LayoutEvidence, numbers_of
from app.errors import DatasetError

X, Y, WIDTH, HEIGHT = 0.4, 0.5, 0.4, 0.6
CORNERS = (0.2, 0.2, 0.6, 0.8)


def pose(count, values, seed=0):
    """A line of a box with `count` keypoints in it."""
    dice = random.Random(seed)
    words = [0, X, Y, WIDTH, HEIGHT]
    for number in range(count):
        words += [dice.uniform(0.2, 0.6), dice.uniform(0.2, 0.8), *([2 - number % 2] if values == 3 else [])]
    return " ".join(f"{word:g}" for word in words)


def turned(degrees, width=0.3, height=0.1):
    """A line of an oriented box, its corners in turn."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    sides = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    points = [(0.5 + (u * width * cos - v * height * sin) / 2, 0.5 + (u * width * sin + v * height * cos) / 2)
              for u, v in sides]  # fmt: skip
    return "0 " + " ".join(f"{x:.6f} {y:.6f}" for x, y in points)


@pytest.fixture
def lines(tmp_path, image):
    """`lines([line, ...], table)` makes a set with a line an image; gives the boxes that are read."""

    def make(texts, table="names: [plate]"):
        (tmp_path / "data.yaml").write_text(f"train: images\n{table}\n")
        for number, text in enumerate(texts):
            image(tmp_path / "images" / f"{number}.jpg", seed=number)
            (tmp_path / "labels").mkdir(exist_ok=True)
            (tmp_path / "labels" / f"{number}.txt").write_text(text)
        items = [item for item in reader.read(tmp_path) if isinstance(item, AnnotatedImage)]
        return [(item.boxes, [fault.example for fault in item.lost]) for item in items]

    return make


@pytest.mark.parametrize(("count", "values"), [(1, 2), (1, 3), (2, 2), (4, 2), (4, 3), (5, 3), (17, 3), (17, 2)])
def test_kpt_shape_tells_keypoints(lines, count, values):
    """Whatever the number of columns: the box is in columns 2 to 5, and the keypoints are kept."""
    for boxes, lost in lines([pose(count, values, seed) for seed in range(3)],
                             f"names: [plate]\nkpt_shape: [{count}, {values}]"):  # fmt: skip
        assert not lost and len(boxes) == 1
        box = boxes[0]
        assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx(CORNERS)
        assert len(box.keypoints) == count and {seen for *_, seen in box.keypoints} <= {1, 2}


@pytest.mark.parametrize("count", [1, 4, 5, 17])
def test_visibilities_tell_keypoints(lines, count):
    """Every third number 0, 1 or 2, in all lines: no outline looks so."""
    for boxes, _ in lines([pose(count, 3, seed) for seed in range(3)]):
        assert boxes[0].xmin == pytest.approx(0.2) and len(boxes[0].keypoints) == count


@pytest.mark.parametrize("count", [1, 4])
def test_what_could_be_either_is_refused_with_the_line(lines, count):
    """Without `kpt_shape` nobody can tell keypoints without visibility from an outline."""
    with refused(DatasetError, where="labels/0.txt line 1", about="outlines"):
        lines([pose(count, 2, seed) for seed in range(3)])


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 200])
def test_oriented_boxes_give_the_box_around_them(lines, degrees):
    """Four corners whose opposite sides are equal are an oriented box, whatever else they could be."""
    boxes, _ = lines([turned(degrees)] * 3)[0]
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    assert boxes[0].xmax - boxes[0].xmin == pytest.approx(0.3 * cos + 0.1 * sin, abs=1e-4)
    assert boxes[0].ymax - boxes[0].ymin == pytest.approx(0.3 * sin + 0.1 * cos, abs=1e-4)


def test_outlines_of_any_number_of_points(lines):
    """The box around each."""
    boxes, _ = lines(["0 .1 .2 .3 .2 .2 .9", "0 .1 .1 .2 .1 .2 .3 .1 .3 .05 .2", "0 .5 .5 .6 .5 .7 .7 .5 .9"])[1]
    assert (boxes[0].xmin, boxes[0].ymin, boxes[0].xmax, boxes[0].ymax) == (0.05, 0.1, 0.2, 0.3)


def test_lines_that_contradict_kpt_shape_are_lost_with_the_line(lines):
    """They are neither dropped in silence nor guessed at; a box without keypoints stays."""
    read = lines([pose(4, 2), pose(3, 2), "0 .4 .5 .4 .6"], "names: [plate]\nkpt_shape: [4, 2]")
    assert [len(boxes) for boxes, _ in read] == [1, 0, 1]
    assert "labels/1.txt line 1" in read[1][1][0]


@pytest.mark.parametrize("said", ["17", "[4]", "[4, 5]", "[a, 2]"])
def test_a_kpt_shape_that_is_none(lines, said):
    """It is refused with what to write."""
    with refused(DatasetError, where="data.yaml line 3", about="kpt_shape"):
        lines([pose(4, 2)], f"names: [plate]\nkpt_shape: {said}")


def test_random_outlines_are_hardly_ever_taken_for_keypoints():
    """Nearly all of a hundred sets of twenty random quadrilaterals are told; others are refused, not misread."""
    dice, kinds = random.Random(1), []
    for _ in range(100):
        evidence = LayoutEvidence()
        for _ in range(20):
            x, y, size = dice.uniform(0.2, 0.8), dice.uniform(0.2, 0.8), dice.uniform(0.05, 0.2)
            angles = sorted(dice.uniform(0, 2 * math.pi) for _ in range(4))
            points = [(x + size * math.cos(angle), y + size * math.sin(angle)) for angle in angles]
            values = numbers_of("0 " + " ".join(f"{u:g} {v:g}" for u, v in points))
            assert values
            evidence.add(values, "")
        kinds.append(evidence.layout(None).kind)
    assert set(kinds) <= {"outline", "unclear"} and kinds.count("outline") >= 95


def test_random_keypoints_are_never_taken_for_outlines():
    """Boxes anywhere with keypoints in them, without visibility: a hundred sets of twenty."""
    dice = random.Random(2)
    for _ in range(100):
        evidence = LayoutEvidence()
        for _ in range(20):
            width, height = dice.uniform(0.05, 0.6), dice.uniform(0.05, 0.6)
            x, y = dice.uniform(width / 2, 1 - width / 2), dice.uniform(height / 2, 1 - height / 2)
            points = [word for _ in range(4) for word in
                      (x + width * dice.uniform(-0.5, 0.5), y + height * dice.uniform(-0.5, 0.5))]  # fmt: skip
            evidence.add([0, x, y, width, height, *points], "")
        assert evidence.layout(None).kind == "unclear"


@pytest.mark.parametrize(("before", "corners"), [
    ("0 0.4 0.5 0.4 0.6", CORNERS),
    ("0 0.2 0.2 0.6 0.2 0.6 0.8 0.2 0.8", CORNERS),
    ("0 0.2 0.2 0.6 0.2 0.4 0.8", CORNERS),
])  # fmt: skip
def test_score_and_track_at_the_end_are_passed_over(lines, before, corners):
    """Ultralytics' tracker writes both after a box or an outline; no track, not even the first, is a point of it."""
    for boxes, lost in lines([f"{before} 0.87 {track}" for track in (1, 1, 12)]):
        assert not lost and len(boxes) == 1
        box = boxes[0]
        assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx(corners)


def test_score_and_track_after_keypoints_are_passed_over(lines):
    """With kpt_shape the columns after the keypoints are a prediction's."""
    for boxes, lost in lines([f"{pose(3, 2)} 0.5 {track}" for track in (1, 7)], "names: [plate]\nkpt_shape: [3, 2]"):
        assert not lost and len(boxes[0].keypoints) == 3


def test_keypoints_that_nobody_saw_are_keypoints(lines):
    """A line whose keypoints are all 0 0 0 is a box like those of the other lines, as in COCO's people."""
    unseen = f"0 {X} {Y} {WIDTH} {HEIGHT}" + " 0 0 0" * 17
    for boxes, lost in lines([pose(17, 3), unseen, pose(17, 3, seed=1)]):
        assert not lost and len(boxes) == 1
        assert (boxes[0].xmin, boxes[0].ymin, boxes[0].xmax, boxes[0].ymax) == pytest.approx(CORNERS)


def test_all_splits_tell_the_layout_of_each(tmp_path, image):
    """A split in which no keypoint was seen is read like the other, where some were."""
    (tmp_path / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [plate]\n")
    for split, text in (("train", f"0 {X} {Y} {WIDTH} {HEIGHT} 0 0 0 0.3 0.3 0"), ("val", pose(2, 3))):
        image(tmp_path / "images" / split / "0.jpg")
        (tmp_path / "labels" / split).mkdir(parents=True)
        (tmp_path / "labels" / split / "0.txt").write_text(text)
    (found,) = (item for item in reader.read(tmp_path, "train") if isinstance(item, AnnotatedImage))
    assert (found.boxes[0].xmin, found.boxes[0].ymin) == pytest.approx(CORNERS[:2])
