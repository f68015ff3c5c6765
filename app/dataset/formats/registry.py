"""The formats of data sets that can be read, in one table."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from app import host_paths
from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.formats import (
    coco,
    createml,
    csv_boxes,
    cvat,
    datumaro,
    keras_retinanet,
    keras_yolo3,
    kitti,
    known_others,
    label_studio,
    labelme,
    oidv4,
    open_images,
    pet,
    supervisely,
    text_lists,
    tfrecord,
    via,
    voc,
    yolo,
)
from app.dataset.formats.split_lists import SplitByAnother
from app.dataset.image_index import name_in, walk
from app.dataset.splits import is_split
from app.errors import DatasetError, did_you_mean
from app.settings import flag, variable

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
_INNER_MAX, _FILES_MAX = 10, 1000
"""Folders and files that are looked into for a hint."""


class Reader(Protocol):
    """What a reader module offers."""

    NAME: str

    def recognise(self, source: Path) -> str:
        """Why `source` is of this format (what was found there), or an empty string."""

    def splits(self, source: Path) -> tuple[str, ...]:
        """The names of the set's own splits."""

    def read(
        self, source: Path, split: str = "", *, masked: bool = False
    ) -> Iterator[AnnotatedImage | Category | Fault]:
        """The images of a split, or without a name of the whole set; declared classes; and every fault.

        `masked`: with instance masks, where the set has them.
        """


_OF_OTHERS: tuple[Reader, ...] = (
    cvat, kitti, open_images, oidv4, keras_yolo3, keras_retinanet,
    labelme, via, createml, label_studio, supervisely,
)  # fmt: skip
READERS: dict[str, Reader] = {
    module.NAME: module for module in (voc, coco, yolo, csv_boxes, pet, tfrecord, *_OF_OTHERS)
}
"""Those that detbox reads itself; the rest is left to Datumaro (`datumaro`)."""
_FROM_TOOLS = {module.NAME for module in _OF_OTHERS}
"""Formats that are mostly converted to one of the others before training: beside those they are left out."""
_DERIVED = {csv_boxes.NAME, tfrecord.NAME}
"""What is made from a set's annotation files and left lying beside them."""


_READ_HERE = ("voc", "coco", "yolo", "cvat", "kitti", "open_images", "roboflow")
"""How Datumaro's names of formats begin that are read here."""


def _tier(known: str) -> int:
    """Which formats win over which where several fit: those of the lowest tier."""
    return 2 if known in _DERIVED else int(known in _FROM_TOOLS)


def resolve_reader(source: Path, name: str = "auto") -> tuple[Reader, str]:
    """The reader for `source` and why.

    Datumaro is asked only where its format is named, or no reader of our own fits. Raises DatasetError where there is
    nothing, the format is unknown, or several fit: it never guesses. Annotation files go before what is made from them.
    """
    where = str(source)
    if not source.exists():
        remedy = host_paths.hint(source, f"{variable('dataset')}=") or flag("dataset")
        raise DatasetError("no such file or folder", where=where, remedy=remedy)
    if where != where.encode(errors="replace").decode():
        raise DatasetError(
            "its path is no UTF-8, which a pipeline.config needs", where=ascii(where), remedy="rename it"
        )
    if name not in ("auto", *READERS):
        return _foreign(source, name)
    fitting = {known: reason for known, reader in READERS.items() if (reason := reader.recognise(source))}
    if name != "auto":
        if name not in fitting:
            others = f"; it looks like {', '.join(fitting)}" if fitting else ""
            raise DatasetError(f"nothing of format {name} here{others}", where=where, remedy=flag("format"))
        lists, listed = _lists_of_splits(source, READERS[name], ())
        return _split_by(READERS[name], lists), f"named; {fitting[name]}{listed}"
    for known in list(fitting):
        for general in getattr(READERS[known], "SPECIAL_CASES_OF", ()):
            fitting.pop(general, None)
    first = min(map(_tier, fitting), default=0)
    left_out = {known: fitting.pop(known) for known in list(fitting) if _tier(known) > first}
    if len(fitting) > 1:
        found = "; ".join(f"{known}: {reason}" for known, reason in fitting.items())
        raise DatasetError(f"several formats fit ({found})", where=where, remedy=f"name one: {flag('format')}")
    if fitting:
        known, reason = next(iter(fitting.items()))
        lists, listed = _lists_of_splits(source, READERS[known], left_out)
        beside = "".join(
            f"; {other} beside it {'tells the splits' if lists and other == lists.NAME else 'left out'} ({what})"
            for other, what in left_out.items()
        )
        return _split_by(READERS[known], lists), reason + beside + listed
    return _recognised_by_datumaro(source)


def _split_by(reader: Reader, lists: Reader | None) -> Reader:
    return SplitByAnother(reader, lists) if lists else reader


def _lists_of_splits(source: Path, reader: Reader, left_out: Iterable[str]) -> tuple[Reader | None, str]:
    """What has splits to train and to evaluate on where the set itself has none, and what to say of it: one of the
    formats left out, or text files."""
    if reader.splits(source):
        return None, ""
    lists = next((READERS[other] for other in left_out if is_split(READERS[other].splits(source))), None)
    if lists is None and (names := text_lists.recognise(source)):
        return text_lists, f"; split by {names}"
    return lists, ""


def _foreign(source: Path, name: str) -> tuple[Reader, str]:
    """The reader of a format by its name in Datumaro."""
    if name in datumaro.READ_WRONG:
        remedy = flag("format", datumaro.READ_WRONG[name])
        raise DatasetError(f"Datumaro puts the boxes of {name!r} in the wrong place", where=str(source), remedy=remedy)
    known = datumaro.names() if datumaro.is_installed() else ()
    if datumaro.is_installed() and name not in known:
        raise DatasetError(
            f"format {name!r} is unknown",
            where=str(source),
            remedy=did_you_mean(name, [*READERS, *known], "--format=")
            or f"one of auto, {', '.join(dict.fromkeys((*READERS, *known)))}: {flag('format')}",
        )
    if not known:
        near = did_you_mean(name, READERS, "--format=")
        hint = f"{near} Else: " if near else f"one of auto, {', '.join(READERS)}, or "
        raise DatasetError(
            f"format {name!r} is unknown without Datumaro", where=str(source), remedy=hint + datumaro.INSTALL
        )
    return datumaro.DatumaroReader(name), f"named, read by Datumaro {datumaro.version()}"


def _recognised_by_datumaro(source: Path) -> tuple[Reader, str]:
    where, ours = str(source), f"one of {', '.join(READERS)}; see docs/datasets.md"
    nothing, hint = f"no known format{_contents(source)}", _hint(source)
    if not datumaro.is_installed():
        remedy = hint or f"{ours}; for VoTT, WIDER FACE, MOT and more {datumaro.INSTALL}"
        raise DatasetError(nothing, where=where, remedy=remedy)
    # What readers of our own do not take for theirs has a fault that they name better.
    found = [name for name in datumaro.recognise(source) if not name.startswith(_READ_HERE)]
    if len(found) > 1:
        raise DatasetError(
            f"several formats fit, says Datumaro ({', '.join(found)})",
            where=where,
            remedy=f"name one: {flag('format')}",
        )
    if not found:
        raise DatasetError(nothing, where=where, remedy=hint or ours)
    return datumaro.DatumaroReader(found[0]), f"recognised and read by Datumaro {datumaro.version()}"


def _hint(source: Path) -> str:
    """What is most likely amiss where no reader fits: an archive, a folder too high, something that is missing."""
    if source.is_file():
        return f"unpack it and name the folder: {flag('dataset')}" if source.suffix in _ARCHIVES else ""
    inner = _folders(source)
    for path in [*inner, *(deeper for folder in inner for deeper in _folders(folder))][:_INNER_MAX]:
        known = next((name for name, reader in READERS.items() if reader.recognise(path)), "")
        if known:
            return f"{name_in(source, path)}/ looks like {known}: --dataset={path}"
    files = walk(source)
    if other := known_others.recognise(files[:_FILES_MAX]):
        return other
    if _has_masks_only(source):
        return "VOC's masks without XML: only boxes are read; make them with Datumaro (voc_segmentation), as COCO JSON"
    if other := yolo.hint(source):
        return other
    if any(yolo.is_label(path) for path in files[:_FILES_MAX] if path.suffix == ".txt"):
        return "for YOLO's text files the names of classes are missing: a classes.txt with a name a line"
    if any(path.suffix.lower() == ".csv" for path in files):
        return f"a CSV needs the columns {', '.join(csv_boxes.COLUMNS)} named in its first line"
    if any(tfrecord.FILE_NAME.fullmatch(path.name) for path in files):
        return "its record files hold no tf.train.Example with image/encoded: make them anew"
    if any(path.suffix in _ARCHIVES for path in files):
        return "unpack the archive first"
    return ""


def _folders(path: Path) -> list[Path]:
    return [inside for inside in sorted(path.iterdir()) if inside.is_dir() and not inside.name.startswith(".")]


def _has_masks_only(source: Path) -> bool:
    """Whether VOC's masks are there; `walk` passes them over."""
    return any(path.is_dir() for path in (*source.glob("SegmentationClass*"), *source.glob("*/SegmentationClass*")))


def _contents(source: Path) -> str:
    if not source.is_dir():
        return ""
    names = sorted(path.name + "/" * path.is_dir() for path in source.iterdir())
    return f" among {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}" if names else " in an empty folder"
