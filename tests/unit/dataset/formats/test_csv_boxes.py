"""Reading labelImg's CSV."""

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import csv_boxes as reader
from app.dataset.formats import registry

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def read(source, split=""):
    items = [one for item in reader.read(source, split) for one in (item, *getattr(item, "lost", ()))]
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Fault))


def test_rows_are_gathered_by_image(tmp_path, image):
    """A row a box, in any column order and with a byte order mark; quoted names keep their commas."""
    image(tmp_path / "images" / "a, b.jpg")
    (tmp_path / "labels.csv").write_text(
        '\ufeffclass,filename,xmin,ymin,xmax,ymax\ndog,"a, b.jpg",1,2,30,40\n"big, cat","a, b.jpg",5.5,6,7,8\n'
    )
    assert (
        registry.resolve_reader(tmp_path)[0].NAME == registry.resolve_reader(tmp_path / "labels.csv")[0].NAME == "csv"
    )
    images, found = read(tmp_path)
    assert [(b.label, b.xmin, b.ymax) for b in images[0].boxes] == [("dog", 1, 40), ("big, cat", 5.5, 8)]
    assert [f.kind for f in found] == [faults.SIZE_MISSING]


def test_splits_by_file_and_by_folder(tmp_path, image):
    """`train_labels.csv` and `test_labels.csv`, or a file in each split's folder."""
    for layout, names in (("1", ("train_labels", "test_labels")), ("2", ("train/_annotations", "test/_annotations"))):
        for split, name in zip(("train", "test"), names, strict=True):
            image(tmp_path / layout / split / "a.jpg")
            (tmp_path / layout / f"{name}.csv").write_text(HEADER + "a.jpg,64,48,dog,1,2,30,40\n")
        assert sorted(reader.splits(tmp_path / layout)) == ["test", "train"]
        assert [p.name for p in read(tmp_path / layout, "test")[0]] == ["test/a.jpg"]
        assert len(read(tmp_path / layout)[0]) == 2


def test_broken_rows_cost_themselves_only(tmp_path, image):
    """Short rows, words for numbers, no class, no such image: dropped and named."""
    image(tmp_path / "a.jpg")
    rows = ("a.jpg,64,48,dog,1,2,30,40", "a.jpg,64,48,dog,1,2", "a.jpg,64,48,dog,x,2,3,4",
            "a.jpg,64,48,,1,2,3,4", "ghost.jpg,64,48,dog,1,2,3,4", ",,,,,,,", "")  # fmt: skip
    (tmp_path / "labels.csv").write_text(HEADER + "\n".join(rows) + "\n\0\n")
    images, found = read(tmp_path)
    assert [len(p.boxes) for p in images] == [1]
    assert [f.kind for f in found] == [
        faults.BOX_UNREADABLE, faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN, faults.IMAGE_MISSING
    ]  # fmt: skip


def test_other_csv_is_not_taken_for_it(tmp_path):
    """A table of something else, or an empty file, is not recognised."""
    (tmp_path / "a.csv").write_text("step,loss\n1,2\n")
    (tmp_path / "b.csv").write_text("")
    assert reader.recognise(tmp_path) == ""


def test_blanks_after_commas_and_images_without_objects(tmp_path, image):
    """Quoted columns after blanks are read; a row that has a file name alone is an image without objects."""
    for name in ("a.jpg", "b.jpg"):
        image(tmp_path / name)
    head = '"Filename", "Width", "Height", "Class", "xmin", "ymin", "xmax", "ymax"\n'
    (tmp_path / "labels.csv").write_text(head + 'a.jpg, 64, 48, "big, dog", 1, 2, 30, 40\nb.jpg,64,48,,,,,\n')
    images, found = read(tmp_path)
    assert [(p.name, p.width, [b.label for b in p.boxes]) for p in images] == [
        ("a.jpg", 64, ["big, dog"]), ("b.jpg", 64, [])
    ]  # fmt: skip
    assert not found


def test_a_table_of_the_whole_beside_those_of_its_splits(tmp_path, image):
    """The splits are the set's own: the table of the whole is left out, whatever else is in it."""
    for name in "abc":
        image(tmp_path / f"{name}.jpg")
    row = "{}.jpg,64,48,dog,1,2,30,40\n".format
    (tmp_path / "train_labels.csv").write_text(HEADER + row("a"))
    (tmp_path / "test_labels.csv").write_text(HEADER + row("b"))
    (tmp_path / "pets_labels.csv").write_text(HEADER + row("a") + row("b"))
    assert sorted(reader.splits(tmp_path)) == ["test", "train"]
    assert len(read(tmp_path)[0]) == 2
    (tmp_path / "pets_labels.csv").write_text(HEADER + row("c"))
    assert sorted(reader.splits(tmp_path)) == ["test", "train"]
    assert len(read(tmp_path)[0]) == 2
