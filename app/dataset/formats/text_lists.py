"""Text files that list the images of each split, whatever the format of the annotations beside them."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.image_index import AmbiguousImage, ImageIndex, name_in, name_key, walk
from app.dataset.splits import SPLIT_NAME, is_split

NAME = "lists"
_LOOKED_AT = 20
_DARKNET = re.compile(r"(train|valid|val|test)\s*=\s*(.+)")
"""A line of Darknet's obj.data: `train = data/train.txt`."""


def recognise(source: Path) -> str:
    """The lists of images to train and to evaluate on, or an empty string."""
    files = _files(source)
    return ", ".join(name_in(source, path) for path in files.values()) if is_split(list(files)) else ""


def splits(source: Path) -> tuple[str, ...]:
    """The splits that there are lists of: Darknet's, else of files called `train.txt`, `ImageSets/val.txt`."""
    return tuple(_files(source))


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images in the list of a split, without boxes, and each that is not there."""
    index = ImageIndex(source)
    path = _files(source)[split]
    for line in text_files.lines(path):
        try:
            found = _named(line, index, path)
        except AmbiguousImage as error:
            yield Fault(faults.IMAGE_AMBIGUOUS, line, ", ".join(error.args))
            continue
        if found is None:
            yield Fault(faults.IMAGE_MISSING, line, f"named in {name_in(source, path)}")
        else:
            yield AnnotatedImage(found, index.name(found), ())


def _files(source: Path) -> dict[str, Path]:
    """The list of each split: of several the one that is nearest to the set's folder."""
    found = walk(source, {".txt", ".data"}) if source.is_dir() else []
    texts = sorted((path for path in found if path.suffix.lower() == ".txt"), key=lambda path: -len(path.parts))
    called = {path.stem: path for path in texts if SPLIT_NAME.fullmatch(path.stem)}
    by_name = {name_key(path.name): path for path in texts}
    for table in (path for path in found if path not in texts):
        said = [match for line in text_files.lines(table) if (match := _DARKNET.fullmatch(line))]
        there = {match[1]: by_name.get(name_key(PurePosixPath(match[2].replace("\\", "/")).name)) for match in said}
        called |= {key: path for key, path in there.items() if path}
    if not called:
        return {}
    index = ImageIndex(source)
    return {key: path for key, path in called.items() if _is_list(path, index)}


def _is_list(path: Path, index: ImageIndex) -> bool:
    """Whether at least half of a file's first lines name images of the set."""
    lines = text_files.lines(path)[:_LOOKED_AT]
    return 0 < len(lines) <= 2 * sum(_is_named(line, index, path) for line in lines)


def _is_named(line: str, index: ImageIndex, path: Path) -> bool:
    try:
        return _named(line, index, path) is not None
    except AmbiguousImage:
        return True


def _named(line: str, index: ImageIndex, path: Path) -> Path | None:
    """The image of a line, which may name its annotations as well: `images/a.jpg xml/a.xml`; numbers are none."""
    first, *others = line.split()
    found = index.find(line, near=path.parent)
    return found if found or not any("." in other for other in others) else index.find(first, near=path.parent)
