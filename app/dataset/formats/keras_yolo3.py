"""Reader of keras-yolo3's text file: `image.jpg x1,y1,x2,y2,class x1,y1,x2,y2,class ...`, a line an image.

Roboflow exports it as `_annotations.txt` with `_classes.txt` in each split's folder (YOLO v3 Keras, YOLO v4 PyTorch).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box, Category, sort_annotations
from app.dataset.code_page import read_lines
from app.dataset.faults import Fault
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in, root_of, walk
from app.dataset.splits import by_split, files_of, split_of_file
from app.raster_image import image_suffixes

NAME = "keras_yolo3"
SPECIAL_CASES_OF = ("yolo",)
"""Text files of YOLO's beside it are of images that it does not name; those are said to be left out."""
_NAMES = re.compile(r".*classes(\.names)?", re.IGNORECASE)
_LOOKED_AT = 50
_BOX = re.compile(r"-?\d+(\.\d+)?(,-?\d+(\.\d+)?){3},\d{1,6}")


def recognise(source: Path) -> str:
    """Why `source` (a folder or a text file) is such a set: what was found, or an empty string."""
    files = _files(source)
    if not files:
        return ""
    root = root_of(source)
    return f"images with boxes in {', '.join(name_in(root, path) for path in files[:4])}"


def splits(source: Path) -> tuple[str, ...]:
    """The splits that the files' names or folders speak of: `train/_annotations.txt`, `train.txt`."""
    return tuple(name for name in _splits(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The images of one split, or without a name of all; a line of a name alone is an image without objects."""
    root = root_of(source)
    index = ImageIndex(root)
    for name, file in files_of(_splits(source), split):
        where = index.name(file)
        names = _names_file(file, root)
        lines, faulty = read_lines(names, index.name(names)) if names else ([], [])
        yield from faulty
        labels = [" ".join(line.split()) for line in lines]
        yield from (Category(label) for label in dict.fromkeys(labels))
        for line in text_files.lines(file):
            said, tokens = _parted(line)
            found = yield from locate(said, index, near=file.parent, where=where, split=name)
            if found is None:
                continue
            boxes, lost, _ = sort_annotations(_box(token, labels, f"{where} {said}") for token in tokens)
            yield AnnotatedImage(found, index.name(found), boxes, lost=lost)


def _files(source: Path) -> list[Path]:
    """The text files that hold such lines, and that a list of names belongs to."""
    root = root_of(source)
    files = [source] if source.is_file() else walk(source, {".txt"})
    # A file an image is YOLO's way, a file for many is this: a few of each folder are enough to be looked at.
    folders: dict[Path, list[Path]] = {}
    for path in files:
        folders.setdefault(path.parent, []).append(path)
    few = [path for inside in folders.values() for path in inside[:_LOOKED_AT]]
    fitting = [path for path in few if path.suffix.lower() == ".txt" and _is_list(path)]
    return [path for path in fitting if _names_file(path, root)]


def _is_list(path: Path) -> bool:
    """Whether the first lines are images with boxes; only the start of the file is read."""
    start = text_files.read_start(path, 1 << 14)
    if b"," not in start and b",\0" not in start:
        return False
    lines = [line.strip() for line in text_files.split_lines(text_files.decode(start)) if line.strip()]
    rows = [_parted(line) for line in (lines[:-1] if len(start) == 1 << 14 else lines)[:_LOOKED_AT]]
    boxes = [token for _, tokens in rows for token in tokens]
    named = [Path(said).suffix.lower() in image_suffixes() for said, _ in rows]
    return sum(named) * 2 > len(rows) and sum(bool(_BOX.fullmatch(token)) for token in boxes) * 2 > len(boxes) > 0


def _splits(source: Path) -> dict[str, list[Path]]:
    root = root_of(source)
    return by_split(_files(source), lambda path: split_of_file(path, root, folders_first=True))


def _names_file(file: Path, root: Path) -> Path | None:
    """The list of classes by their number: the one in the file's folder, else the nearest one below `root`."""
    lists = [path for path in walk(root, {".txt", ".names"}) if path != file and _NAMES.fullmatch(path.stem)]
    lists = [path for path in lists if not _is_list(path)]
    there = [path for path in lists if path.parent == file.parent] or lists
    return there[0] if there and text_files.lines(there[0]) else None


def _parted(line: str) -> tuple[str, list[str]]:
    """The image's name, which may have blanks and commas, and the words behind it that are to be boxes."""
    words = re.split(r"(\s+)", line)
    end = len(words)
    while end > 2 and "," in words[end - 1] and Path(words[end - 1]).suffix.lower() not in image_suffixes():
        end -= 2
    return "".join(words[:end]).strip(), words[end + 1 :: 2]


def _box(token: str, labels: list[str], where: str) -> Box | Fault:
    if not _BOX.fullmatch(token):
        return Fault(faults.BOX_UNREADABLE, where, token[:60])
    *corners, number = token.split(",")
    if int(number) >= len(labels):
        return Fault(faults.LABEL_UNKNOWN, where, f"class {number}")
    xmin, ymin, xmax, ymax = map(float, corners)
    return Box(labels[int(number)], xmin, ymin, xmax, ymax)
