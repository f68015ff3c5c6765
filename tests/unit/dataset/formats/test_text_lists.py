"""Text files that list the images of each split beside annotations of any format."""

import pytest

from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import IMAGE_MISSING, Fault
from app.dataset.formats import registry, text_lists

BOX = ("dog", 1, 1, 9, 9)


def names_in(reader, root, split):
    return sorted(item.name for item in reader.read(root, split) if isinstance(item, AnnotatedImage))


@pytest.mark.parametrize(
    ("folder", "line"),
    [("", "{}"), ("ImageSets", "{}"), ("", "JPEGImages/{}.jpg Annotations/{}.xml"), ("lists", "C:\\set\\{}.jpg")],
)
def test_lists_tell_the_splits_of_annotations_that_have_none(voc, folder, line):
    """Stems, file names, paths of another machine, and lines with the annotations' names."""
    root = voc({name: [BOX] for name in "abcd"})
    (root / folder).mkdir(exist_ok=True)
    (root / folder / "train.txt").write_text("".join(line.replace("{}", name) + "\r\n" for name in "ab"))
    (root / folder / "val.txt").write_text(line.replace("{}", "c"))
    reader, reason = registry.resolve_reader(root)
    assert reader.NAME == "voc" and "split by" in reason and "val.txt" in reason
    assert names_in(reader, root, "train") == ["JPEGImages/a.jpg", "JPEGImages/b.jpg"]
    assert names_in(reader, root, "val") == ["JPEGImages/c.jpg"]


def test_darknet_names_its_lists(tmp_path, image):
    """`obj.data` says which files list the images of each split, whatever they are called."""
    for number, name in enumerate("ab"):
        image(tmp_path / "obj" / f"{name}.jpg", seed=number)
        (tmp_path / "obj" / f"{name}.txt").write_text("0 .5 .5 .2 .2\n")
    (tmp_path / "obj.names").write_text("cat\n")
    (tmp_path / "obj.data").write_text("classes = 1\ntrain = data/some.txt\nvalid = data/others.txt\n")
    (tmp_path / "some.txt").write_text("data/obj/a.jpg\n")
    (tmp_path / "others.txt").write_text("data/obj/b.jpg\n")
    reader, _ = registry.resolve_reader(tmp_path)
    assert names_in(reader, tmp_path, "train") == ["obj/a.jpg"] and names_in(reader, tmp_path, "valid") == ["obj/b.jpg"]


def test_what_is_no_list_of_images_is_none(voc):
    """Text files of other things, a single list, and lists of another set's images leave the set without splits."""
    root = voc({name: [BOX] for name in "ab"})
    (root / "train.txt").write_text("a\n")
    (root / "val.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (root / "test.txt").write_text("img1\nimg2\nimg3\n")
    (root / "valid.txt").write_text("b 1 1 1\n")
    assert not text_lists.recognise(root)
    assert not registry.resolve_reader(root)[0].splits(root)


def test_an_image_that_is_not_there_is_said(voc):
    """Its line, and the list that names it."""
    root = voc({name: [BOX] for name in "ab"})
    (root / "train.txt").write_text("a\nz\n")
    (root / "val.txt").write_text("b\n")
    found = [item for item in text_lists.read(root, "train") if isinstance(item, Fault)]
    assert found == [Fault(IMAGE_MISSING, "z", "named in train.txt")]
