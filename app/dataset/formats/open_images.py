"""Reader of Open Images' CSV: `*-annotations-bbox.csv` and the classes' names in `class-descriptions-boxable.csv`.

The files of the whole have 14 million rows, so they are gone through one by one, and only rows of images that are there
are kept.
"""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box, sort_annotations
from app.dataset.code_page import read_lines
from app.dataset.faults import KEPT, Fault
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in, name_key, root_of, walk
from app.dataset.splits import by_split, files_of, split_of_file

NAME = "open_images"
COLUMNS = ("imageid", "labelname", "xmin", "xmax", "ymin", "ymax")
_CODE = re.compile(r"/[a-z]/\w+")


def recognise(source: Path) -> str:
    """Why `source` (a folder or a CSV file) is such a set: what was found, or an empty string."""
    files = [path for paths in _splits(source).values() for path in paths]
    root = root_of(source)
    return f"columns ImageID, LabelName, XMin ... in {', '.join(name_in(root, p) for p in files[:4])}" if files else ""


def splits(source: Path) -> tuple[str, ...]:
    """The splits that the files' names or folders speak of: `train-annotations-bbox.csv`."""
    return tuple(name for name in _splits(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Fault]:
    """The images of one split, or without a name of all, in the order of their first rows."""
    root = root_of(source)
    index = ImageIndex(root)
    names = _names(root)
    nameless: dict[str, None] = {}
    for name, file in files_of(_splits(source), split):
        where = index.name(file)
        by_image: dict[str, list[dict[str, str]]] = {}
        for said, rows in itertools.groupby(_rows(file), key=lambda row: row.get("imageid", "")):
            if name_key(said) in index.by_stem or name_key(Path(said).stem) in index.by_stem:
                by_image.setdefault(said, []).extend(rows)
            else:
                yield Fault(faults.IMAGE_MISSING, said or "row without ImageID", f"named in {where}")
        for said, kept in by_image.items():
            found = yield from locate(said, index, near=file.parent, where=where, split=name)
            if found is None:
                continue
            there = [row for row in kept if row.get("labelname") and row.get("confidence") not in ("0", "0.0")]
            boxes, lost, _ = sort_annotations(_box(row, names, f"{where} {said}") for row in there)
            nameless.update((box.label, None) for box in boxes if _CODE.fullmatch(box.label))
            yield AnnotatedImage(found, index.name(found), boxes, fractions=True, lost=lost)
    for label in nameless:
        yield Fault(faults.LABEL_NAMELESS, label, "class-descriptions-boxable.csv of Open Images names it", KEPT)


def _splits(source: Path) -> dict[str, list[Path]]:
    root = root_of(source)
    files = [source] if source.is_file() else walk(source, {".csv"})
    fitting = (path for path in files if path.suffix.lower() == ".csv" and _is_boxes(path))
    return by_split(fitting, lambda path: split_of_file(path, root))


def _is_boxes(path: Path) -> bool:
    line = next(iter(text_files.split_lines(text_files.decode(text_files.read_start(path, 4096)))), "")
    return set(COLUMNS) <= {name.strip(' "\ufeff').lower() for name in line.split(",")}


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows, their columns in small letters. A file of gigabytes is never held as a whole."""
    with open(path, "rb") as file:
        start = file.read(2)
        file.seek(0)
        encoding = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
        text = io.TextIOWrapper(file, encoding, errors="replace", newline="")
        lines = csv.reader((line.replace("\0", "") for line in text), skipinitialspace=True)
        try:
            header = [name.strip().lower() for name in next(lines, [])]
            for line in lines:
                if any(line):
                    yield {key: value.strip() for key, value in zip(header, line, strict=False)}
        except (csv.Error, UnicodeError):  # A field of absurd length: what comes after it can't be trusted.
            return


def _names(root: Path) -> dict[str, str]:
    """The classes' names by their codes, from the tables that have nothing else; with or without a header."""
    names: dict[str, str] = {}
    for path in walk(root, {".csv"}):
        if not re.search("class|label", path.stem, re.IGNORECASE):
            continue
        for line in read_lines(path, path.name)[0] if path.stat().st_size < 1 << 24 else []:
            code, _, name = line.partition(",")
            if not _CODE.fullmatch(code.strip(' "')):
                continue
            names.setdefault(code.strip(' "'), " ".join(name.strip(' "').replace('""', '"').split()))
    return {code: name for code, name in names.items() if name}


def _box(row: dict[str, str], names: dict[str, str], where: str) -> Box | Fault:
    label = " ".join(row["labelname"].split())
    label = names.get(label, label)
    try:
        xmin, ymin, xmax, ymax = (float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
    except (KeyError, ValueError):
        return Fault(faults.BOX_UNREADABLE, where, label)
    return Box(
        label, xmin, ymin, xmax, ymax, truncated=row.get("istruncated") == "1", group_of=row.get("isgroupof") == "1"
    )
