"""Reading KITTI's labels."""

import pytest

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import kitti as reader
from app.dataset.formats import registry

REST = "1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"


def read(source, split=""):
    items = list(reader.read(source, split))
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Fault))


def test_kittis_own_folders(tmp_path, image):
    """Labels of `label_2` are those of `image_2`, not of the other camera; regions of no class are said."""
    for place in ("training/image_2", "training/image_3", "testing/image_2"):
        image(tmp_path / place / "000000.png")
    (tmp_path / "training" / "label_2").mkdir()
    region = f"DontCare -1 -1 -10 503.89 169.71 590.61 190.13 {REST}"
    (tmp_path / "training" / "label_2" / "000000.txt").write_text(
        f"Car 0.20 0 -1.58 8.5 6 28 16 {REST}\n{region}\nPedestrian 0.00 1 -1.58 1 2 3 4 {REST} 0.9\n"
    )
    assert registry.resolve_reader(tmp_path)[0].NAME == "kitti_detection"
    assert reader.splits(tmp_path) == ("training",)
    images, found = read(tmp_path, "training")
    assert [i.name for i in images] == ["training/image_2/000000.png"]
    assert [(b.label, b.xmin, b.ymax, b.truncated) for b in images[0].boxes] == [
        ("Car", 8.5, 16, True), ("Pedestrian", 1, 4, False)
    ]  # fmt: skip
    assert [f.kind for f in found] == [faults.REGION_IGNORED] and not images[0].lost


def test_images_and_labels(tmp_path, image):
    """As other tools lay it out: an empty file is an image without objects, a line that is not whole is lost."""
    for name in "abc":
        image(tmp_path / "train" / "images" / f"{name}.jpg")
        (tmp_path / "train" / "labels").mkdir(exist_ok=True)
        (tmp_path / "train" / "labels" / f"{name}.txt").write_text("")
    (tmp_path / "train" / "labels" / "a.txt").write_text(f"car 0 0 0 1 2 30 40 {REST}\ncar 0 0 0 1 2 30\n")
    (tmp_path / "train" / "labels" / "ghost.txt").write_text(f"car 0 0 0 1 2 30 40 {REST}\n")
    images, found = read(tmp_path)
    assert [(len(i.boxes), len(i.lost)) for i in images] == [(1, 1), (0, 0), (0, 0)]
    assert [f.kind for f in found] == [faults.IMAGE_MISSING]


@pytest.mark.parametrize("line", ["0 .5 .5 .1 .1", f"0 1 Car 0 0 0 1 2 3 4 {REST}", "1 .5 " * 7 + "2", "A 1 2 3 4"])
def test_other_text_files_are_not_taken_for_it(tmp_path, line):
    """YOLO's lines, also of 15 columns, and KITTI's own of tracking begin with a number."""
    (tmp_path / "a.txt").write_text(line)
    assert reader.recognise(tmp_path) == ""
