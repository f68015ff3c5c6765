"""Reading CreateML's JSON."""

import json

import pytest

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import createml as reader
from app.dataset.formats import registry
from app.errors import DatasetError
from tests.unit.refusals import refused

BOX = {"label": "dog", "coordinates": {"x": 25, "y": 15, "width": 30, "height": 20}}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))


def read(source, split=""):
    items = list(reader.read(source, split))
    return [i for i in items if isinstance(i, AnnotatedImage)], [i for i in items if isinstance(i, Fault)]


def said(images):
    return {p.name: [(b.label, b.xmin, b.ymin, b.xmax, b.ymax) for b in p.boxes] for p in images}


@pytest.mark.parametrize(("key", "inside"), [("image", "annotations"), ("imagefilename", "annotation")])
def test_coordinates_are_of_the_centre(tmp_path, image, key, inside):
    """x and y are the box's middle, in pixels; an image without annotations is background."""
    for name in "ab":
        image(tmp_path / f"{name}.jpg")
    write(tmp_path / "a.json", [{key: "a.jpg", inside: [BOX]}, {key: "b.jpg", inside: []}])
    for source in (tmp_path, tmp_path / "a.json"):
        assert registry.resolve_reader(source)[0].NAME == "createml"
        images, found = read(source)
        assert said(images) == {"a.jpg": [("dog", 10, 5, 40, 25)], "b.jpg": []} and not found


def test_splits_as_roboflow_exports_them(tmp_path, image):
    """A file in each split's folder."""
    for split in ("train", "valid", "test"):
        image(tmp_path / split / f"{split}.jpg")
        write(tmp_path / split / reader.ROBOFLOW, [{"image": f"{split}.jpg", "annotations": [BOX]}])
    assert sorted(reader.splits(tmp_path)) == ["test", "train", "valid"]
    assert list(said(read(tmp_path, "valid")[0])) == ["valid/valid.jpg"]


def test_a_file_an_image(tmp_path, image):
    """As labelImg writes them; names that sound like splits are none then."""
    for number in range(60):
        image(tmp_path / f"train_{number}.jpg")
        write(
            tmp_path / f"train_{number}.json",
            [{"image": f"train_{number}.jpg", "verified": False, "annotations": [BOX]}],
        )
    assert reader.recognise(tmp_path) and reader.splits(tmp_path) == ()
    assert len(read(tmp_path)[0]) == 60


def test_broken_annotations_cost_themselves_only(tmp_path, image):
    """No numbers, no class, no such image, rows of other kinds: named."""
    image(tmp_path / "a.jpg")
    rows = [BOX, {**BOX, "label": ""}, {"label": "dog", "coordinates": {"x": 1}}, {"label": "dog"}, 7]
    write(tmp_path / "a.json", [{"image": "a.jpg", "annotations": rows}, {"image": "ghost.jpg", "annotations": [BOX]},
                                {"image": "a.jpg"}, 3])  # fmt: skip
    images, found = read(tmp_path)
    assert [len(p.boxes) for p in images] == [1] and [f.kind for f in found] == [faults.IMAGE_MISSING]
    assert [f.kind for f in images[0].lost] == [
        faults.LABEL_UNKNOWN, faults.BOX_UNREADABLE, faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN
    ]  # fmt: skip


def test_json_of_something_else_is_not_taken_for_it(tmp_path, coco):
    """COCO has the same names in an object; a broken file has none."""
    coco(tmp_path / "a.json", {"a.jpg": (64, 48)}, [], [])
    (tmp_path / "b.json").write_text('[{"image": "a.jpg"')
    assert reader.recognise(tmp_path) == ""


def test_datumaro_is_not_asked_for_it(tmp_path, image):
    """It takes the middle for the corner: its name of the format is refused with ours."""
    image(tmp_path / "train" / "a.jpg")
    write(tmp_path / "train" / reader.ROBOFLOW, [{"image": "a.jpg", "annotations": [BOX]}])
    with refused(DatasetError, where=str(tmp_path)) as caught:
        registry.resolve_reader(tmp_path, "roboflow_create_ml")
    assert "createml" in caught.value.remedy
