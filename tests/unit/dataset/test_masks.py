"""Instance masks and keypoints, from the annotation to the stored image."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from app.dataset import faults, masks, records
from app.dataset.preparation import prepare

PERSON = [{"id": 1, "name": "person"}]
SQUARE = [10, 6, 30, 6, 30, 26, 10, 26]


def drawn(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def bitmap(height=48, width=64):
    found = np.zeros((height, width), np.uint8)
    found[6:26, 10:30] = 1
    return found


def coded(said):
    """COCO's packed run lengths of a bitmap, as its JSON has them."""
    runs = coco_masks.encode(np.asfortranarray(said))
    return {"size": runs["size"], "counts": runs["counts"].decode()}


def lengths(said):
    """The run lengths of a bitmap as numbers, 0 first."""
    flat = said.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    return {"size": list(said.shape), "counts": np.diff([0, *edges, flat.size]).tolist()}


@pytest.mark.parametrize("said", [[SQUARE], coded(bitmap()), lengths(bitmap())], ids=["outline", "packed", "numbers"])
def test_what_coco_calls_a_segmentation(said):
    """Outlines and both kinds of run lengths give the same mask."""
    mask = masks.of_coco(said)
    if mask.outlines:
        mask = masks.moved(mask, lambda points: points / (64, 48), 1)
    assert (drawn(masks.draw(mask, 64, 48)) == bitmap()).all()


def test_packed_run_lengths_are_read_as_coco_packs_them():
    """Random bitmaps survive; the check of the packed string knows COCO's own code."""
    for seed in range(20):
        said = np.random.default_rng(seed).integers(0, 2, (13, 9), np.uint8).repeat(7, 0)
        assert (drawn(masks.draw(masks.of_coco(coded(said)), 9, 91)) == said).all()


@pytest.mark.parametrize(
    "said",
    [[], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, float("nan")]], [[1, 2, 3, 4, 5]], "x", [["a"] * 6], 7,
     {"size": [4, 4], "counts": "zzzzzz"}, {"size": [4, 4], "counts": [3, 4]}, {"size": [0, 9], "counts": ""},
     {"size": [1 << 20, 1 << 20], "counts": [1 << 40]}, {"size": [4, 4], "counts": [-16, 32]}, {"counts": []},
     {"size": [4, 4], "counts": "\x00\x01"}],
)  # fmt: skip
def test_what_is_no_segmentation(said):
    """Whatever is no mask is a ValueError, before COCO's C code sees it."""
    with pytest.raises(ValueError):
        masks.of_coco(said)


@pytest.fixture
def people(tmp_path, image, coco):
    """Two photographs taken on end, annotated as stored: one by outline, one by run lengths; and keypoints."""
    for name in ("a.jpg", "b.jpg"):
        image(tmp_path / "set" / name, orientation=6)
    points = {"keypoints": [10, 6, 2, 0, 0, 0, 30, 26, 1], "num_keypoints": 2}
    coco(
        tmp_path / "set" / "all.json",
        {"a.jpg": (64, 48), "b.jpg": (64, 48)},
        [(1, 1, [10, 6, 20, 20], {"segmentation": [SQUARE], **points}),
         (2, 1, [10, 6, 20, 20], {"segmentation": coded(bitmap())}),
         (2, 1, [40, 30, 9, 9], {"segmentation": [[1, 2]]})],
        PERSON,
    )  # fmt: skip
    return tmp_path / "set"


def rows(target):
    return {row["image/filename"][0].decode(): row for row in records.read(sorted(target.glob("*.tfrecord")))}


def test_masks_follow_rotation_and_shrinking(people, tmp_path):
    """Masks turn and shrink with the image; a box whose mask can't be read has an empty one, and that is counted."""
    card = prepare(people, tmp_path / "records", masked=True, max_side=32)
    assert card.masks
    assert [(row.kind, row.action) for row in card.faults if "mask" in row.kind] == [(faults.MASK_UNREADABLE, "fixed")]
    found = rows(tmp_path / "records")
    wanted = np.rot90(bitmap(), 3)[::2, ::2]
    for name in ("a.jpg", "b.jpg"):
        row = found[name]
        assert (row["image/width"], row["image/height"]) == ([24], [32])
        mask = drawn(row["image/object/mask"][0])
        assert mask.shape == (32, 24) and (mask != wanted).mean() < 0.03
        ys, xs = mask.nonzero()
        box = [row[f"image/object/bbox/{key}"][0] for key in ("xmin", "ymin", "xmax", "ymax")]
        assert (
            np.abs(np.array([xs.min() / 24, ys.min() / 32, (xs.max() + 1) / 24, (ys.max() + 1) / 32]) - box).max()
            < 0.06
        )
    assert not drawn(found["b.jpg"]["image/object/mask"][1]).any()


def test_keypoints_are_carried_and_padded(people, tmp_path):
    """They turn with the image; a box without any has as many that are not annotated, as upstream needs."""
    card = prepare(people, tmp_path / "records")
    assert (card.masks, card.keypoints) == (False, 3)
    found = rows(tmp_path / "records")
    row = found["a.jpg"]
    assert "image/object/mask" not in row
    assert row["image/object/keypoint/visibility"] == [2, 0, 1] and row["image/object/keypoint/num"] == [2]
    assert row["image/object/keypoint/x"] == pytest.approx([1 - 6 / 48, 0, 1 - 26 / 48])
    assert row["image/object/keypoint/y"] == pytest.approx([10 / 64, 0, 30 / 64])
    assert found["b.jpg"]["image/object/keypoint/visibility"] == [0] * 6


def test_broken_keypoints_cost_themselves_only(people, tmp_path):
    """The box stays without them, and the annotation is named."""
    file = people / "all.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["keypoints"] = [1, 2, "x"]
    file.write_text(json.dumps(content))
    card = prepare(people, tmp_path / "records")
    assert card.keypoints == 0
    assert (faults.KEYPOINTS_UNREADABLE, 1) in [(row.kind, row.count) for row in card.faults]


def test_yolo_outlines_become_masks(tmp_path, image):
    """The outlines of a YOLO segmentation set, in fractions."""
    for name in "ab":
        image(tmp_path / "set" / f"{name}.jpg")
        outline = " ".join(str(v / (64, 48)[i % 2]) for i, v in enumerate(SQUARE))
        (tmp_path / "set" / f"{name}.txt").write_text(f"0 {outline}")
    (tmp_path / "set" / "classes.txt").write_text("dog")
    assert prepare(tmp_path / "set", tmp_path / "records", masked=True).masks
    for row in rows(tmp_path / "records").values():
        assert (drawn(row["image/object/mask"][0]) == bitmap()).mean() > 0.98
