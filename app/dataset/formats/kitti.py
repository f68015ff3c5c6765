"""Reader of KITTI's detection labels: lines of 15 columns, `type truncated occluded alpha xmin ymin xmax ymax ...`."""

import math
from collections.abc import Generator, Iterator
from pathlib import Path

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box
from app.dataset.code_page import read_lines
from app.dataset.faults import Fault
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in, name_key, walk
from app.dataset.splits import files_of, own_splits, split_of_folder

NAME = "kitti_detection"
NO_CLASS = "dontcare"
COLUMNS = (15, 16)
"""Results have a score in the sixteenth."""
_LOOKED_AT = 50


def recognise(source: Path) -> str:
    """Why `source` is such a set: what was found, or an empty string."""
    files = walk(source, {".txt"}) if source.is_dir() else []
    found = [path for path in files[:_LOOKED_AT] if _is_label(path)]
    return f"text files of {COLUMNS[0]} columns such as {name_in(source, found[0])}" if found else ""


def splits(source: Path) -> tuple[str, ...]:
    """The folders named train, training, val, testing ... that have labels."""
    return tuple(name for name in _splits(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images of one split, or without a name of all; a text file of no lines is an image without objects."""
    index = ImageIndex(source)
    for name, file in files_of(_splits(source), split):
        where = index.name(file)
        found = yield from _find(file, index, where, name)
        if found is None:
            continue
        boxes: list[Box] = []
        lost: list[Fault] = []
        lines, faulty = read_lines(file, where)
        yield from faulty
        for line in lines:
            box = _box(line, where)
            if isinstance(box, Box):
                boxes.append(box)
            elif box.kind == faults.REGION_IGNORED:
                yield box
            else:
                lost.append(box)
        yield AnnotatedImage(found, index.name(found), tuple(boxes), lost=tuple(lost))


def _splits(source: Path) -> dict[str, list[Path]]:
    """The label files of each split: those of folders in which there is one with lines."""
    files = walk(source, {".txt"})
    folders: dict[Path, list[Path]] = {}
    for path in files:
        folders.setdefault(path.parent, []).append(path)
    found: dict[str, list[Path]] = {}
    for folder, inside in folders.items():
        if any(_is_label(path) for path in inside[:_LOOKED_AT]):
            found.setdefault(split_of_folder(folder.relative_to(source).parts), []).extend(inside)
    return own_splits(found)


def _find(file: Path, index: ImageIndex, where: str, split: str) -> Generator[Fault, None, Path | None]:
    """The image of a label file: of `label_2` in `image_2`, as KITTI has an image of each camera, else by its name."""
    if file.parent.name.startswith("label_"):
        folder = file.parent.parent / file.parent.name.replace("label", "image", 1)
        there = [path for path in index.by_stem.get(name_key(file.stem), []) if path.parent == folder]
        if len(there) == 1:
            return there[0]
    return (yield from locate(file.stem, index, near=file.parent, where=where, split=split))


def _is_label(path: Path) -> bool:
    lines = text_files.lines(path)[:3]
    return bool(lines) and all(_numbers(line) for line in lines)


def _numbers(line: str) -> list[float]:
    """The columns behind the type; none where this is no such line."""
    words = line.split()
    if len(words) not in COLUMNS or words[0][0].isdigit():
        return []
    try:
        return [float(word) for word in words[1:]]
    except ValueError:
        return []


def _box(line: str, where: str) -> Box | Fault:
    values = _numbers(line)
    if not values:
        return Fault(faults.BOX_UNREADABLE, where, line[:60])
    label, (truncated, _, _, *corners) = line.split()[0], values[:7]
    if label.casefold() == NO_CLASS:
        return Fault(faults.REGION_IGNORED, where, label)
    if not all(map(math.isfinite, corners)):
        return Fault(faults.BOX_UNREADABLE, where, line[:60])
    xmin, ymin, xmax, ymax = corners
    return Box(label, xmin, ymin, xmax, ymax, truncated=truncated > 0)
