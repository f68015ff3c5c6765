"""Reader of labelImg's CSV: a row a box, with columns filename, width, height, class, xmin, ymin, xmax,
ymax."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box
from app.dataset.code_page import read_text
from app.dataset.faults import FIXED, Fault
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in, root_of, walk
from app.dataset.splits import by_split, files_of, split_of_file

NAME = "csv"
DELIMITERS = (",", ";", "\t")
_NUMBERS = {"width", "height", "xmin", "ymin", "xmax", "ymax"}
COLUMNS = ("filename", "class", "xmin", "ymin", "xmax", "ymax")


def recognise(source: Path) -> str:
    """Why `source` (a folder or a CSV file) is such a set: what was found, or an empty string."""
    files = [path for paths in _files(source).values() for path in paths]
    names = ", ".join(name_in(root_of(source), path) for path in files)
    return f"columns {', '.join(COLUMNS)} in {names}" if files else ""


def splits(source: Path) -> tuple[str, ...]:
    """The splits that the files' names or folders speak of: `train_labels.csv`, `valid/_annotations.csv`."""
    return tuple(name for name in _files(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images of one split, or without a name all, in the order of their first rows."""
    root = root_of(source)
    index = ImageIndex(root)
    for name, file in files_of(_files(source), split):
        where = name_in(root, file)
        by_image: dict[str, list[dict[str, str]]] = {}
        content, found = read_text(file, where)
        yield from found
        for row in _rows(content.replace("\0", "")):
            by_image.setdefault(row.get("filename", ""), []).append(row)
        for said, rows in by_image.items():
            yield from _image(said, rows, file, where, index, name)


def _files(source: Path) -> dict[str, list[Path]]:
    """The CSV files of each split; `""` for all of them where none has a split in its name."""
    root = root_of(source)
    files = [source] if source.is_file() else walk(source, {".csv"})
    files = [path for path in files if path.suffix.lower() == ".csv" and set(COLUMNS) <= set(_header(path))]
    if source.is_file():
        return {"": files} if files else {}
    return by_split(files, lambda path: split_of_file(path, root))


def _header(path: Path) -> list[str]:
    with open(path, "rb") as file:
        line = next(iter(text_files.split_lines(text_files.decode(file.read(4096)))), "")
    return [name.strip(' "').lower() for name in line.split(_delimiter(line))]


def _delimiter(header: str) -> str:
    """What parts the columns: a comma, or what spreadsheets of many countries write for it."""
    return max(DELIMITERS, key=header.count)


def _rows(content: str) -> Iterator[dict[str, str]]:
    delimiter = _delimiter(content.split("\n", 1)[0])
    lines = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        for line in lines:
            if any(line):
                row = {key: value.strip() for key, value in zip(header, line, strict=False)}
                yield {k: _point(v) if k in _NUMBERS else v for k, v in row.items()} if delimiter != "," else row
    except csv.Error:  # A field of absurd length: what comes after it can't be trusted.
        return


def _point(number: str) -> str:
    """A number with a decimal comma, which goes with semicolons, with a point."""
    return number.replace(",", ".")


def _image(
    said: str, rows: list[dict[str, str]], file: Path, where: str, index: ImageIndex, split: str
) -> Iterator[AnnotatedImage | Fault]:
    found = yield from locate(said, index, near=file.parent, where=where, split=split)
    if found is None:
        return
    boxes, lost = [], []
    for row in rows:
        label = " ".join(row.get("class", "").split())
        xmin, ymin, xmax, ymax = (_number(row.get(key)) for key in ("xmin", "ymin", "xmax", "ymax"))
        if not label and not any(row.get(key) for key in ("xmin", "ymin", "xmax", "ymax")):
            continue  # An image without objects.
        if not label:
            lost.append(Fault(faults.LABEL_UNKNOWN, where, f"{said} without a class"))
        elif xmin is None or ymin is None or xmax is None or ymax is None:
            lost.append(Fault(faults.BOX_UNREADABLE, where, f"{said} {label}"))
        else:
            boxes.append(Box(label, xmin, ymin, xmax, ymax))
    width, height = (_number(rows[0].get(key)) or 0 for key in ("width", "height"))
    if not (0 < width < 1e6 and 0 < height < 1e6):
        yield Fault(faults.SIZE_MISSING, index.name(found), "taken from the image", FIXED)
        width = height = 0
    yield AnnotatedImage(found, index.name(found), tuple(boxes), round(width), round(height), lost=tuple(lost))


def _number(said: str | None) -> float | None:
    try:
        return float(said or "")
    except ValueError:
        return None
