"""Which files belong to a set, and which image an annotation means."""

import os

import pytest
from refusals import refused

from app.dataset import image_index
from app.dataset.image_index import AmbiguousImage, ImageIndex
from app.errors import DatasetError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_what_is_no_file_of_the_set_is_passed_over(tmp_path):
    """Pipes (which would be waited on for ever), links to nowhere or themselves, folders named like files."""
    touch(tmp_path, "a.jpg", "sub/b.jpg", "lost+found/c.jpg", "__MACOSX/a.jpg", "._a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in image_index.walk(tmp_path)] == ["a.jpg", "b.jpg"]


def test_what_is_no_address(tmp_path):
    """A name that only begins like one is no file of the set, and no error."""
    touch(tmp_path, "a.jpg")
    assert ImageIndex(tmp_path).find("http://[a/a.jpg", near=tmp_path) == tmp_path / "a.jpg"


def test_a_folder_that_can_not_be_opened_is_an_error(tmp_path, monkeypatch):
    """Its images would be missing without a word."""
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    touch(tmp_path, "a.jpg", "locked/b.jpg")
    monkeypatch.setattr(os, "scandir", locked)
    with refused(DatasetError, where="/locked", about="Permission"):
        image_index.walk(tmp_path)


def test_folders_that_mirror_each_other(tmp_path):
    """Of equal names the image in the folder called like the annotation's."""
    found = ImageIndex(touch(tmp_path, "img/left/1.jpg", "img/right/1.jpg", "xml/left/1.xml"))
    assert found.find("1", near=tmp_path / "xml" / "left") == tmp_path / "img" / "left" / "1.jpg"
    with pytest.raises(AmbiguousImage):
        found.find("1", near=tmp_path / "xml")


@pytest.mark.parametrize("name", ["a.b.c", "x.jpg", "back\\slash", "br[a]cket", "new\nline", "100%", "trail "])
def test_any_stem_is_found(tmp_path, name):
    """Dots, blanks, backslashes and characters of patterns in a stem stand for themselves."""
    found = ImageIndex(touch(tmp_path, f"{name}.jpg", "other.jpg"))
    assert found.find(name, near=tmp_path) == tmp_path / f"{name}.jpg"
    if "\\" not in name:  # In a path that a file states, Windows' separator.
        assert found.find(f"{name}.jpg", near=tmp_path) == tmp_path / f"{name}.jpg"


def test_a_name_that_is_no_utf8(tmp_path):
    """Its name in records and JSON has U+FFFD for what can't be written."""
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    assert ImageIndex(touch(tmp_path, path.name)).name(path) == "caf\ufffd.jpg"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("images/my cat.jpg", "/data/local-files/?d=images/my%20cat.jpg"),
        ("images/my cat.jpg", "/data/local-files/?d=images%5Cmy%20cat.jpg"),
        ("images/my cat.jpg", "images\\my cat.jpg"),
        ("images/my cat.jpg", "C:\\Users\\me\\images\\MY CAT.JPG"),
        ("images/my cat.jpg", "my+cat.jpg"),
        ("images/a.jpg", "/data/upload/3/1a2b3c4d-a.jpg"),
        ("images/a.jpg", "https://bucket.example/sets/images/a.jpg?X-Sig=abc&e=1"),
        ("images/a.jpg", "s3://bucket/images/a.jpg"),
        ("images/a.jpg", "file:///home/me/images/a.jpg"),
        ("images/a.jpg", " a.jpg "),
        ("images/Ra\u0308der.jpg", "R\u00e4der.jpg"),
        ("images/R\u00e4der.jpg", "Ra\u0308der.JPG"),
        ("images/a\u0085b.jpg", "a\u0085b.jpg"),
        ("images/a\u2028b.jpg", "a b.jpg"),
        ("images/a\u00a0b.jpg", "a b.jpg"),
        ("images/a\u3000b.jpg", "a b.jpg"),
        ("images/\uff21\uff11.jpg", "A1.jpg"),
        ("images/stra\u00dfe.jpg", "STRASSE.jpg"),
        ("images/a\u200b.jpg", "a.jpg"),
        ("images/100%.jpg", "100%.jpg"),
        ("images/50%25.jpg", "50%25.jpg"),
        ("images/a b.jpg", "images/a%2520b.jpg"),
        ("images/a&b.jpg", "a&amp;b.jpg"),
        ("images/a.jfif", "a.jpg"),
        ("images/a.JPEG", "a.jpeg"),
    ],
)
def test_a_name_however_a_tool_writes_it(tmp_path, file, said):
    """Addresses, escapes, backslashes, case, Unicode forms, kinds of blanks: it is the same file."""
    found = ImageIndex(touch(tmp_path, file, "images/other.jpg"))
    assert found.find(said, near=tmp_path) == tmp_path / file


def test_of_spellings_of_one_name_the_exact_one_is_taken(tmp_path):
    """Two forms of one letter, or two kinds of blanks, are two files where both are there."""
    names = ("\u00e9.jpg", "e\u0301.jpg", "a b.jpg", "a\u00a0b.jpg", "A.jpg", "a.jpg", "v1.2.jpg", "V1.2.jpg")
    found = ImageIndex(touch(tmp_path, *names))
    for name in names:
        assert found.find(name, near=tmp_path) == tmp_path / name
        assert found.find(name.removesuffix(".jpg"), near=tmp_path) == tmp_path / name


def test_names_in_bytes_of_another_system(tmp_path):
    """A file named in Latin-1 is found by its letters."""
    name = os.fsdecode("Räder".encode("latin-1"))
    found = ImageIndex(touch(tmp_path, f"{name}.jpg"))
    assert found.find("räder.jpg", near=tmp_path) == tmp_path / f"{name}.jpg"


def test_images_are_told_by_suffix_or_by_their_first_bytes(tmp_path):
    """Of a suffix that tells nothing the file is opened; annotations and videos are not images."""
    touch(tmp_path, "a.jpg", "b.JFIF", "c.jp2", "d.avif", "e.ppm", "f.txt", "g.mp4", "h.pdf", "j")
    (tmp_path / "k.jpg_large").write_bytes(b"\xff\xd8\xff\xe0" + bytes(12))
    (tmp_path / "l").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(8))
    (tmp_path / "m.bin").write_bytes(b"BMW is no bitmap")
    (tmp_path / "n.xml").write_bytes(b"\xff\xd8\xff")
    names = [path.name for path in image_index.images_in(tmp_path)]
    assert names == ["a.jpg", "b.JFIF", "c.jp2", "d.avif", "e.ppm", "k.jpg_large", "l"]
