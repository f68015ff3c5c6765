"""Reader of what the OIDv4 toolkit downloads: `train/Apple/Label/x.txt`, lines `Class Name xmin ymin xmax ymax`.

An image of several classes is downloaded into the folder of each, with the boxes of that class alone: those are joined.
"""

import filecmp
import re
from collections.abc import Iterator
from pathlib import Path

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box, sort_annotations
from app.dataset.code_page import read_lines
from app.dataset.faults import Fault
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in, walk
from app.dataset.splits import by_split, files_of, split_of_folder

NAME = "oidv4"
SPECIAL_CASES_OF = ("open_images", "yolo")
"""The toolkit leaves the CSV files of the whole of Open Images beside what it downloads, and text files for YOLO that
are made from these."""
_LOOKED_AT = 20
_FOLDER = "label"
_LINE = re.compile(r"(?P<label>\D.*?)" + 4 * r"\s+(\S+)")


def recognise(source: Path) -> str:
    """Why `source` is such a set: what was found, or an empty string."""
    files = _files(source)
    found = next((path for path in files[:_LOOKED_AT] if any(map(_values, text_files.lines(path)[:3]))), None)
    return f"{len(files)} text files such as {name_in(source, found)}" if found else ""


def splits(source: Path) -> tuple[str, ...]:
    """The splits that were downloaded: `train`, `validation`, `test`."""
    return tuple(name for name in _splits(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images of one split, or without a name of all; a text file of no lines is an image without objects."""
    index = ImageIndex(source)
    first: dict[tuple[str, str], Path] = {}
    for name, file in files_of(_splits(source), split):
        where = index.name(file)
        found = yield from locate(file.stem, index, near=file.parent.parent, where=where, split=name)
        if found is None:
            continue
        lines, faulty = read_lines(file, where)
        yield from faulty
        # The toolkit writes behind what an earlier download of the same class wrote.
        boxes, lost, _ = sort_annotations(_box(line, where) for line in dict.fromkeys(lines))
        same = first.setdefault((name, found.stem), found)
        named = same if same == found or filecmp.cmp(same, found, shallow=False) else found
        yield AnnotatedImage(found, index.name(named), boxes, lost=lost)


def _files(source: Path) -> list[Path]:
    return [path for path in walk(source, {".txt"}) if path.parent.name.lower() == _FOLDER] if source.is_dir() else []


def _splits(source: Path) -> dict[str, list[Path]]:
    return by_split(_files(source), lambda path: split_of_folder(path.relative_to(source).parts[:-2]))


def _box(line: str, where: str) -> Box | Fault:
    values = _values(line)
    return Box(*values) if values else Fault(faults.BOX_UNREADABLE, where, line[:60])


def _values(line: str) -> tuple[str, float, float, float, float] | None:
    """The class, whose name may have blanks, and the corners in pixels."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    try:
        xmin, ymin, xmax, ymax = (float(word) for word in match.groups()[1:])
    except ValueError:
        return None
    return " ".join(match["label"].split()), xmin, ymin, xmax, ymax
