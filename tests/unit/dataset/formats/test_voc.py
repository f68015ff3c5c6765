"""Reading Pascal VOC."""

import pytest

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import voc as reader

DOG = ("dog", 8, 6, 40, 30)


def read(source, split=""):
    items = [one for item in reader.read(source, split) for one in (item, *getattr(item, "lost", ()))]
    images = {item.name: item for item in items if isinstance(item, AnnotatedImage)}
    return images, [item for item in items if isinstance(item, Fault)]


def test_boxes_sizes_and_flags_are_read(voc, tmp_path):
    """A box has its label, its corners in pixels and its flags; the image the stated size."""
    root = voc({"a": [DOG]})
    xml = root / "Annotations" / "a.xml"
    xml.write_text(xml.read_text().replace("<difficult>0", "<truncated>1</truncated><difficult>1"))
    images, found = read(root)
    box = images["JPEGImages/a.jpg"].boxes[0]
    assert (box.label, box.xmin, box.ymin, box.xmax, box.ymax) == DOG
    assert box.difficult and box.truncated and not box.is_crowd
    assert (images["JPEGImages/a.jpg"].width, images["JPEGImages/a.jpg"].height) == (64, 48)
    assert found == []


def test_splits_come_from_image_sets_and_not_from_class_lists(voc):
    """`dog_train.txt`, with its second column, is no split."""
    root = voc({"a": [DOG], "b": [DOG]}, {"train": ["a"], "val": ["b"]})
    (root / "ImageSets" / "Main" / "dog_train.txt").write_text("a  1\nb -1\n")
    assert reader.splits(root) == ("train", "val")
    assert list(read(root, "val")[0]) == ["JPEGImages/b.jpg"]


def test_a_listed_image_without_xml_is_a_fault(voc):
    """A name in the list without an annotation is dropped and named."""
    root = voc({"a": [DOG]}, {"train": ["a", "ghost"]})
    images, found = read(root, "train")
    assert len(images) == 1
    assert [(f.kind, f.file) for f in found] == [(faults.ANNOTATION_MISSING, "ghost")]


def test_loose_xml_beside_images_with_split_folders(tmp_path, image, voc_xml):
    """Folders `train` and `test` of XML and images, as the OD API's tutorials make them, are splits."""
    for split in ("train", "test"):
        image(tmp_path / "images" / split / "1.png")
        (tmp_path / "images" / split / "1.xml").write_text(voc_xml([DOG], filename="1.png"))
    assert reader.splits(tmp_path) == ("test", "train")
    assert list(read(tmp_path, "test")[0]) == ["images/test/1.png"]
    assert set(read(tmp_path)[0]) == {"images/test/1.png", "images/train/1.png"}


def test_loose_xml_apart_from_images(tmp_path, image, voc_xml):
    """XML in one folder and images in another find each other by stem."""
    image(tmp_path / "photos" / "x.JPG", format="JPEG")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "x.xml").write_text(voc_xml([DOG], filename="x.jpg"))
    assert list(read(tmp_path)[0]) == ["photos/x.JPG"]


def test_the_stem_wins_over_a_wrong_file_name(voc, voc_xml):
    """Copied annotations name another image, which even exists: the XML's own stem is right."""
    root = voc({"a": [DOG], "b": [DOG]})
    (root / "Annotations" / "b.xml").write_text(voc_xml([DOG], filename="a.jpg"))
    images, found = read(root)
    assert set(images) == {"JPEGImages/a.jpg", "JPEGImages/b.jpg"}
    assert [(f.kind, f.file, f.action) for f in found] == [(faults.FILENAME_WRONG, "Annotations/b.xml", "fixed")]


def test_the_file_name_helps_where_the_stem_does_not(tmp_path, image, voc_xml):
    """XML files with names of their own are matched by <filename>."""
    image(tmp_path / "cat.jpg")
    (tmp_path / "0001.xml").write_text(voc_xml([DOG], filename="C:\\data\\cat.jpg"))
    assert list(read(tmp_path)[0]) == ["cat.jpg"]


def test_segmentation_masks_are_no_images(voc, image):
    """VOC's SegmentationClass/a.png has the same stem as JPEGImages/a.jpg."""
    root = voc({"a": [DOG]})
    image(root / "SegmentationClass" / "a.png")
    assert list(read(root)[0]) == ["JPEGImages/a.jpg"]


def test_linked_folders_are_followed_once(voc, tmp_path, image):
    """A set put together from links is read; a link that leads round in circles ends."""
    root = voc({"a": [DOG]})
    (root / "JPEGImages").rename(tmp_path / "elsewhere")
    (root / "JPEGImages").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(root)
    assert list(read(root)[0]) == ["JPEGImages/a.jpg"]


def test_two_images_of_one_stem_are_told_apart_or_refused(tmp_path, image, voc_xml):
    """The exact file name decides; where it does not, the annotation is dropped and both are named."""
    for name in ("one/a.jpg", "two/a.jpg"):
        image(tmp_path / name)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.xml").write_text(voc_xml([DOG], filename="a.jpg"))
    images, found = read(tmp_path)
    assert not images
    assert "one/a.jpg, two/a.jpg" in found[0].detail
    assert found[0].kind == faults.IMAGE_AMBIGUOUS


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-16", "utf-16"),
        ("utf-8", "utf-16"),
        ("utf-8-sig", "utf-8"),
        ("gb18030", "gb18030"),
        ("latin-1", "latin-1"),
    ],
)
def test_encodings(voc, voc_xml, encoding, declared):
    """UTF-16, multi-byte encodings and untrue declarations are read; labels keep their letters and spaces."""
    label = "Gr\xfcn wei\xdf" if encoding == "latin-1" else "\u72d7 gr\xfcn"
    root = voc({"a": [DOG]})
    text = f'<?xml version="1.0" encoding="{declared}"?>' + voc_xml([(label, 1, 2, 3, 4)], filename="a.jpg")
    (root / "Annotations" / "a.xml").write_bytes(text.encode(encoding))
    images, found = read(root)
    assert images["JPEGImages/a.jpg"].boxes[0].label == label, found


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><object><name>&x;</name></object></annotation>',
        '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>',
        "<annotation><object>",
        "not xml at all",
        "",
        "<html/>",
    ],
)
def test_hostile_and_broken_xml_is_dropped_and_named(voc, text):
    """Entities are refused; what is no annotation is a fault of that file alone."""
    root = voc({"a": [DOG], "b": [DOG]})
    (root / "Annotations" / "b.xml").write_text(text)
    images, found = read(root)
    assert [len(image.boxes) for image in images.values()] == [1, 0]
    assert [fault.file for fault in images["JPEGImages/b.jpg"].lost] == ["Annotations/b.xml"]
    assert (faults.ANNOTATION_UNREADABLE, "Annotations/b.xml") in [(f.kind, f.file) for f in found]


def test_parts_and_boxes_without_corners(voc, voc_xml):
    """A person's <part> is not taken for the person; an object without a whole bndbox is dropped."""
    root = voc({"a": [DOG]})
    xml = root / "Annotations" / "a.xml"
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    broken = "<object><name>dog</name><bndbox><xmin>1</xmin><ymin>?</ymin></bndbox></object><object/>"
    xml.write_text(
        xml.read_text().replace("<difficult>", f"{part}<difficult>").replace("</annotation>", f"{broken}</annotation>")
    )
    images, found = read(root)
    assert [b.label for b in images["JPEGImages/a.jpg"].boxes] == ["dog"]
    assert [f.kind for f in found] == [faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN]


@pytest.mark.parametrize("size", [None, (0, 0), ("inf", 5), ("nan", "?"), (-3, 4)])
def test_missing_size_is_mended(voc, voc_xml, size):
    """Without a usable <size> the image's own is used later, and that is counted."""
    root = voc({"a": [DOG]})
    (root / "Annotations" / "a.xml").write_text(voc_xml([DOG], size=size, filename="a.jpg"))
    images, found = read(root)
    assert images["JPEGImages/a.jpg"].width == 0
    assert [(f.kind, f.action) for f in found] == [(faults.SIZE_MISSING, "fixed")]


def test_the_filename_tells_images_of_one_stem_apart(tmp_path, image, voc_xml):
    """a.jpg beside a.png: the one that `<filename>` names; a name of another stem is no help."""
    for name in ("a.jpg", "a.png"):
        image(tmp_path / name)
    (tmp_path / "a.xml").write_text(voc_xml([DOG], filename="C:\\images\\a.png"))
    assert list(read(tmp_path)[0]) == ["a.png"]
    (tmp_path / "a.xml").write_text(voc_xml([DOG], filename="b.png"))
    images, found = read(tmp_path)
    assert not images and faults.IMAGE_AMBIGUOUS in {fault.kind for fault in found}


@pytest.mark.parametrize("declared", ["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-8"?>'])
def test_windows_code_page_without_saying_so(declared):
    """XML that is no UTF-8 is read as Windows' Western code page, as other text is."""
    root = reader.parse((declared + "<annotation><name>Größe “A”</name></annotation>").encode("cp1252"))
    assert root.findtext("name") == "Größe “A”"


HOSTILE = '<!DOCTYPE a [<!ENTITY b "x">]><annotation>&b;</annotation>'


@pytest.mark.parametrize(
    "data",
    [
        HOSTILE.encode(),
        HOSTILE.encode("utf-16"),
        (" " * 300).join(["<?xml version='1.0'", "encoding = 'cp037'?>"]).encode() + HOSTILE.encode("cp037"),
        b"<?xml version='1.0' encoding='utf-7'?>" + HOSTILE.encode().replace(b"<!", b"+ADwAIQ-"),
    ],
)
def test_entities_are_refused_in_any_encoding(monkeypatch, data):
    """The parser that does not watch for them sees only what can't have any."""

    def fail(data):
        raise AssertionError(data)

    monkeypatch.setattr(reader, "fromstring", fail)
    with pytest.raises(ValueError, match="XML"):
        reader.parse(data)
    with pytest.raises(AssertionError):
        reader.parse(b"<annotation></annotation>")


def test_lists_with_blanks_in_names_and_without_a_name(voc):
    """A name of two words is no class's list; a list of nothing is no split."""
    root = voc({"my dog": [DOG], "b": [DOG]}, {"train": ["my dog", "b"], "val": []})
    assert reader.splits(root) == ("train",)
    assert list(read(root, "train")[0]) == ["JPEGImages/my dog.jpg", "JPEGImages/b.jpg"]


def test_xml_that_can_not_be_opened(voc, monkeypatch):
    """It is dropped for what it is, not as broken XML."""
    root = voc({"a": [DOG], "b": [DOG]})
    read_bytes = reader.Path.read_bytes

    def refuse(path):
        if path.name == "b.xml":
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(reader.Path, "read_bytes", refuse)
    images, found = read(root)
    assert len(images["JPEGImages/b.jpg"].lost) == 1
    assert (faults.ANNOTATION_UNREADABLE, "Permission denied") in {(f.kind, f.detail) for f in found}


@pytest.mark.parametrize(
    "shape",
    [
        "<robndbox><cx>30</cx><cy>20</cy><w>20</w><h>30</h><angle>1.5707963</angle></robndbox>",
        "<polygon><x1>15</x1><y1>10</y1><x2>45</x2><y2>10</y2><x3>45</x3><y3>30</y3></polygon>",
        "<polygon><pt><x>15</x><y>10</y></pt><pt><x>45</x><y>30</y></pt></polygon>",
        "<bndbox><xmin>15</xmin></bndbox><robndbox><cx>30</cx><cy>20</cy><w>30</w><h>20</h><angle>0</angle></robndbox>",
    ],
)
def test_what_is_drawn_without_a_box_gives_the_box_around_it(voc, shape):
    """roLabelImg's rotated boxes, outlines; it is said."""
    root = voc({"a": []})
    xml = root / "Annotations" / "a.xml"
    text = f"<object><type>robndbox</type><name>ship</name>{shape}</object></annotation>"
    xml.write_text(xml.read_text().replace("</annotation>", text))
    images, found = read(root)
    box = images["JPEGImages/a.jpg"].boxes[0]
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx((15, 10, 45, 30), abs=1e-3)
    assert [fault.kind for fault in found] == [faults.BOX_AROUND]


def test_split_folders_win_over_what_was_collected(tmp_path, image, voc_xml):
    """`train` and `test` beside the folder that their images were taken from."""
    for number, name in enumerate(("collected/a", "collected/b", "train/a", "test/b")):
        image(tmp_path / f"{name}.jpg", seed=number)
        (tmp_path / f"{name}.xml").write_text(voc_xml([DOG], filename=f"{name[-1]}.jpg"))
    assert reader.splits(tmp_path) == ("test", "train")
    assert list(read(tmp_path, "train")[0]) == ["train/a.jpg"]
    assert list(read(tmp_path, "test")[0]) == ["test/b.jpg"]


def test_lists_in_another_unicode_form(voc):
    """Letters that macOS decomposes, other case: it is the same file."""
    root = voc({"R\u00e4der": [DOG], "b": [DOG]}, {"train": ["Ra\u0308der"], "val": ["B.JPG"]})
    assert list(read(root, "train")[0]) == ["JPEGImages/R\u00e4der.jpg"]
    assert list(read(root, "val")[0]) == ["JPEGImages/b.jpg"]


def test_a_namespace_is_passed_over(voc):
    """Some tools declare one."""
    root = voc({"a": [DOG]})
    xml = root / "Annotations" / "a.xml"
    xml.write_text(xml.read_text().replace("<annotation>", '<annotation xmlns="http://example.org/voc">'))
    images, found = read(root)
    assert len(images["JPEGImages/a.jpg"].boxes) == 1 and not found
