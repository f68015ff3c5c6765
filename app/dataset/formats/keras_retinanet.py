"""Reader of keras-retinanet's CSV: `path,x1,y1,x2,y2,class` without a header, with `classes.csv` of `class,id`.

Roboflow exports it as `_annotations.csv` in each split's folder, and with that name it needs no `classes.csv`.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box, Category, sort_annotations
from app.dataset.code_page import read_text
from app.dataset.faults import Fault
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in, root_of, walk
from app.dataset.splits import by_split, files_of, split_of_file

NAME = "keras_retinanet"
ROBOFLOW = "_annotations.csv"
_LOOKED_AT = 20


def recognise(source: Path) -> str:
    """Why `source` (a folder or a CSV file) is such a set: what was found, or an empty string."""
    root = root_of(source)
    files = [path for paths in _splits(source).values() for path in paths]
    # Without either it could as well be x, y, width, height.
    if not files or not (_classes(root) or all(path.name == ROBOFLOW for path in files)):
        return ""
    return f"rows of path,x1,y1,x2,y2,class in {', '.join(name_in(root, path) for path in files[:4])}"


def splits(source: Path) -> tuple[str, ...]:
    """The splits that the files' names or folders speak of."""
    return tuple(name for name in _splits(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The images of one split, or without a name of all; a row of a path alone is an image without objects."""
    root = root_of(source)
    index = ImageIndex(root)
    yield from (Category(name) for name in _classes(root))
    for name, file in files_of(_splits(source), split):
        by_image: dict[str, list[list[str]]] = {}
        where = index.name(file)
        text, faulty = read_text(file, where)
        yield from faulty
        for row in _rows(text):
            by_image.setdefault(row[0], []).append(row)
        for said, rows in by_image.items():
            found = yield from locate(said, index, near=file.parent, where=where, split=name)
            if found is None:
                continue
            boxes, lost, _ = sort_annotations(_box(row, f"{where} {said}") for row in rows if any(row[1:]))
            yield AnnotatedImage(found, index.name(found), boxes, lost=lost)


def _splits(source: Path) -> dict[str, list[Path]]:
    root = root_of(source)
    files = [source] if source.is_file() else walk(source, {".csv"})
    fitting = (path for path in files if path.suffix.lower() == ".csv" and _fits(path))
    return by_split(fitting, lambda path: split_of_file(path, root, folders_first=True))


def _fits(path: Path) -> bool:
    """Whether the first rows have four numbers, or nothing, between a path and a class; one has numbers at least."""
    rows = list(_rows(_start(path)))[:_LOOKED_AT]
    whole = [row for row in rows if len(row) == 6 and "." in row[0]]
    boxes = [row for row in whole if isinstance(_box(row, ""), Box)]
    return bool(boxes) and all(row in boxes or not any(row[1:5]) for row in whole) and len(whole) * 2 > len(rows)


def _start(path: Path) -> str:
    data = text_files.read_start(path, 1 << 14)
    return text_files.decode(data if len(data) < 1 << 14 else data.rpartition(b"\n")[0])


def _rows(content: str) -> Iterator[list[str]]:
    lines = csv.reader(io.StringIO(content.replace("\0", ""), newline=""), skipinitialspace=True)
    try:
        for line in lines:
            if any(line):
                yield [value.strip() for value in line]
    except csv.Error:  # A field of absurd length: what comes after it can't be trusted.
        return


def _classes(root: Path) -> list[str]:
    """The classes in the order of their ids, of the file with most of them."""
    longest: dict[str, int] = {}
    for path in walk(root, {".csv"}):
        rows = list(_rows(read_text(path, path.name)[0])) if "class" in path.stem.lower() else []
        if rows and all(len(row) == 2 and row[0] and row[1].isdecimal() and len(row[1]) < 7 for row in rows):
            found = {" ".join(name.split()): int(number) for name, number in rows}
            longest = max(longest, found, key=len)
    return sorted(longest, key=lambda name: (longest[name], name))


def _box(row: list[str], where: str) -> Box | Fault:
    label = " ".join(row[5].split()) if len(row) > 5 else ""
    if not label:
        return Fault(faults.LABEL_UNKNOWN, where, "a box without a class")
    try:
        xmin, ymin, xmax, ymax = (float(value) for value in row[1:5])
    except ValueError:
        return Fault(faults.BOX_UNREADABLE, where, f"{label} {' '.join(row[1:5])[:60]}")
    return Box(label, xmin, ymin, xmax, ymax)
