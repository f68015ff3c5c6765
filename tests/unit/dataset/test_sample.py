"""The built-in sample."""

import hashlib
import json

import numpy as np
from PIL import Image
from refusals import refused

from app.dataset import sample
from app.dataset.formats import registry
from app.dataset.preparation import prepare
from app.errors import DatasetError


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(p.relative_to(folder)).encode() + p.read_bytes() for p in files)).hexdigest()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    """Two runs of one seed agree in every byte, another seed does not."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sample.write(tmp_path / name, images=6, seed=seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_it_prepares_without_a_fault(tmp_path):
    """Its own reader finds the splits, all four classes and nothing to fix."""
    sample.write(tmp_path / "sample", images=40, seed=0, eval_fraction=0.25)
    assert registry.resolve_reader(tmp_path / "sample")[0].NAME == "coco"
    card = prepare(tmp_path / "sample", tmp_path / "records")
    assert card.classes == sample.CLASSES
    assert (card.train.images, card.eval.images) == (30, 10)
    assert card.faults == ()
    assert min(card.eval.boxes_per_class.values()) > 0
    assert card.train.images_without_boxes == 0


def test_boxes_enclose_their_shapes():
    """In an image with one shape the saturated pixels are those in its box."""
    checked = 0
    for seed in range(40):
        image, shapes = sample.draw(np.random.default_rng(seed))
        if len(shapes) != 1:
            continue
        saturated = np.asarray(image.convert("HSV"))[..., 1] > 150
        ys, xs = np.nonzero(saturated)
        if len(xs) < 200:
            continue
        found = (
            np.percentile(xs, 0.5),
            np.percentile(ys, 0.5),
            np.percentile(xs, 99.5),
            np.percentile(ys, 99.5),
        )
        assert np.abs(np.subtract(found, shapes[0].box)).max() < 9
        checked += 1
    assert checked >= 3


def test_sizes_and_positions_are_fair(tmp_path):
    """Shapes are several pixels large, inside the image, of all classes, and mostly visible."""
    rng = np.random.default_rng(3)
    shapes = [shape for _ in range(60) for shape in sample.draw(rng)[1]]
    sides = np.array([(s.box[2] - s.box[0], s.box[3] - s.box[1]) for s in shapes])
    assert sides.min() >= 15 and sides.max() <= 140 and np.median(sides) > 40
    assert all(0 <= s.box[0] < s.box[2] <= sample.SIDE and 0 <= s.box[1] < s.box[3] <= sample.SIDE for s in shapes)
    assert np.bincount([s.kind for s in shapes], minlength=4).min() > len(shapes) / 8


def test_layout_and_refusals(tmp_path):
    """Fewer than two images, or a folder that holds something else: refused, and nothing is touched."""
    with refused(DatasetError, flag="--sample_images", about="sample"):
        sample.write(tmp_path / "one", images=1, seed=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x").touch()
    with refused(DatasetError, where="/mine", about="holds x"):
        sample.write(tmp_path / "mine", images=2, seed=0)
    sample.write(tmp_path / "two", images=2, seed=0)
    rows = json.loads((tmp_path / "two" / "val" / "_annotations.coco.json").read_text())
    assert [len(rows["images"]), rows["images"][0]["width"]] == [1, 256]
    assert Image.open(tmp_path / "two" / "val" / rows["images"][0]["file_name"]).size == (256, 256)
