"""Reading Open Images' CSV."""

import pytest

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import open_images as reader
from app.dataset.formats import registry

HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)


def read(source, split=""):
    items = list(reader.read(source, split))
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Fault))


@pytest.mark.parametrize("header", ["", "LabelName,DisplayName\n"])
def test_columns_names_and_flags(tmp_path, image, header):
    """Boxes in fractions, XMax before YMin; names of classes with or without a header; -1 is not known."""
    image(tmp_path / "train" / "0001eeaf.jpg")
    image(tmp_path / "validation" / "0002.jpg")
    (tmp_path / "class-descriptions-boxable.csv").write_text(f'{header}/m/0cmf2,Airplane\n/m/02xwb,"Fruit, ripe"\n')
    (tmp_path / "train-annotations-bbox.csv").write_text(
        HEADER + "0001eeaf,xclick,/m/0cmf2,1,0.1,0.6,0.2,0.7,0,1,0,0,0\n0001eeaf,x,/m/02xwb,1,0,1,0.5,1,0,-1,1,0,0\n"
    )
    (tmp_path / "validation-annotations-bbox.csv").write_text(HEADER + "0002,xclick,/m/0cmf2,1,0,1,0,1,0,0,0,0,0\n")
    assert registry.resolve_reader(tmp_path)[0].NAME == "open_images"
    assert set(reader.splits(tmp_path)) == {"train", "validation"}
    images, found = read(tmp_path, "train")
    assert [(b.label, b.xmin, b.ymin, b.xmax, b.ymax, b.truncated, b.group_of) for b in images[0].boxes] == [
        ("Airplane", 0.1, 0.2, 0.6, 0.7, True, False), ("Fruit, ripe", 0, 0.5, 1, 1, False, True)
    ]  # fmt: skip
    assert images[0].fractions and not found


def test_rows_of_images_that_are_not_there(tmp_path, image):
    """The files are of the whole of Open Images: each image that is missing is counted once, the others are read."""
    image(tmp_path / "images" / "a.jpg")
    row = "{},xclick,Apple,1,{},0.6,0.2,0.7\n".format
    rows = [row("ghost", 0.1), row("ghost", 0.2), row("a", 0.1), row("a", "x"), row("z", 0)]
    (tmp_path / "boxes.csv").write_text("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n" + "".join(rows))
    images, found = read(tmp_path)
    assert [(len(i.boxes), [f.kind for f in i.lost]) for i in images] == [(1, [faults.BOX_UNREADABLE])]
    assert [f.kind for f in found] == [faults.IMAGE_MISSING] * 2


def test_codes_without_names_and_verified_absence(tmp_path, image):
    """A code stays the class's name, and that is said; a row of confidence 0 says what is not there."""
    image(tmp_path / "a.jpg")
    image(tmp_path / "b.jpg")
    rows = "a,xclick,/m/0cmf2,1,0.1,0.6,0.2,0.7,0,0,0,0,0\nb,verification,/m/0cmf2,0,0.1,0.6,0.2,0.7,0,0,0,0,0\n"
    (tmp_path / "train-annotations-bbox.csv").write_text(HEADER + rows)
    images, found = read(tmp_path)
    assert [[b.label for b in i.boxes] for i in images] == [["/m/0cmf2"], []]
    assert [(f.kind, f.file) for f in found] == [(faults.LABEL_NAMELESS, "/m/0cmf2")]


def test_other_csv_is_not_taken_for_it(tmp_path):
    """Labels of whole images have no corners."""
    (tmp_path / "train-annotations-human-imagelabels-boxable.csv").write_text("ImageID,Source,LabelName,Confidence\n")
    assert reader.recognise(tmp_path) == ""
