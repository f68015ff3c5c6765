"""Which images files, folders and globs name."""

import pytest

from app.detection import image_paths


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Two folders with an image of the same name in each, and what is no image."""
    names = ["a/1.jpg", "a/deep/2.PNG", "b/1.jpg", "b/[x].jpg", "a/.hidden/3.jpg", "a/._1.jpg", "a/notes.txt",
             "a/clip.mp4", "a/page.pdf", "a/detected/1.jpg"]  # fmt: skip
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(words, leave_out="nowhere"):
    from pathlib import Path

    images, skipped = image_paths.find_images(words, leave_out=Path(leave_out))
    return [image.name for image in images], [skip.file for skip in skipped]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a"], ["1.jpg", "clip.mp4", "deep/2.PNG", "detected/1.jpg"]),
        (["a/1.jpg"], ["1.jpg"]),
        (["a/1.jpg", "b/1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["b", "a/1.jpg"], ["b/1.jpg", "b/[x].jpg", "a/1.jpg"]),
        (["*/1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        (["**/2.*"], ["2.PNG"]),
        (["b/[x].jpg"], ["[x].jpg"]),
        (["a/notes.txt"], ["notes.txt"]),
        (["a/clip.mp4"], ["clip.mp4"]),
        (["b/1.jpg", "b/../b/1.jpg", "b/*.jpg"], ["1.jpg", "[x].jpg"]),
    ],
)
def test_what_words_name(tree, words, expected):
    """Each image once, named by its path below the folder that all share; hidden names and other files are not."""
    assert names(words) == (expected, [])


def test_what_is_not_there_is_listed(tree):
    """A name or glob without a file is told and does not end the work."""
    assert names(["a/1.jpg", "none.jpg", "none*.jpg"]) == (["1.jpg"], ["none.jpg", "none*.jpg"])


def test_results_of_before_are_not_searched(tree):
    """The folder that the results go to is passed over, wherever it lies."""
    assert names(["a"], leave_out="a/detected") == (["1.jpg", "clip.mp4", "deep/2.PNG"], [])


def test_drawn_images_do_not_overwrite_each_other():
    """Names that differ by folder, format or case alone stay apart."""
    drawn = image_paths.drawn_names(["a/1.jpg", "b/1.jpg", "1.png", "1.JPG", "1.jpeg", "1.png.jpg"])
    assert drawn == ["a/1.jpg", "b/1.jpg", "1.png.jpg", "1.jpg", "1-2.jpg", "1.png-2.jpg"]
    assert image_paths.drawn_names(["1.MP4", "1.mp4", "1.mov", "1.jpg"]) == ["1.mp4", "1-2.mp4", "1.mov.mp4", "1.jpg"]
