"""Reader of CVAT's XML 1.1: for images, and for video with its frames as `frame_000000.png`."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box, Category
from app.dataset.faults import FIXED, Fault
from app.dataset.formats import cvat_shapes, cvat_video, voc
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in, root_of, walk
from app.dataset.splits import own_splits, split_of_file

NAME = "cvat"
_LOOKED_AT = 20
_ROOT = re.compile(rb"<annotations[\s>]")
_INSIDE = re.compile(rb"<(version>|meta>|image\s|track\s)")


def recognise(source: Path) -> str:
    """Why `source` (a folder or an XML file) is a CVAT set: what was found, or an empty string."""
    files = [source] if source.is_file() else walk(source, {".xml"})
    heads = {path: _head(path) for path in files[:_LOOKED_AT] if path.suffix.lower() == ".xml"}
    found = [path for path, head in heads.items() if _fits(head)]
    return f"<annotations> in {name_in(root_of(source), found[0])}" if found else ""


def splits(source: Path) -> tuple[str, ...]:
    """The subsets of the images, else the splits that the files' names or folders speak of."""
    return tuple(name for name in _splits(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The images of one split, or without a name all, in the order of the XML; the classes in that of its labels."""
    root = root_of(source)
    index = ImageIndex(root)
    wanted = _splits(source).get(split, []) if split else None
    for file in _files(source):
        where = index.name(file)
        try:
            document = voc.parse(file.read_bytes(), "annotations")
        except (OSError, ValueError) as error:
            yield Fault(faults.ANNOTATION_UNREADABLE, where, getattr(error, "strerror", None) or str(error))
            continue
        labels = cvat_shapes.Labels(document)
        yield from (Category(name) for name in labels.names)
        for node in document.iterfind("image"):
            if wanted is None or _split(node, root, file) in wanted:
                yield from _image(node, labels, index, file, masked)
        tracks = [t for t in document.iterfind("track") if wanted is None or _split(t, root, file) in wanted]
        if tracks:
            yield from cvat_video.images(document, tracks, labels, index, file, masked)


def _head(path: Path) -> bytes:
    return text_files.read_start(path, 8192).replace(b"\0", b"")


def _fits(head: bytes) -> bool:
    return bool(_ROOT.search(head) and _INSIDE.search(head))


def _files(source: Path) -> list[Path]:
    files = [source] if source.is_file() else walk(source, {".xml"})
    return [path for path in files if _fits(_head(path))]


def _splits(source: Path) -> dict[str, list[str]]:
    """What the images' splits are called, by the set's own splits."""
    root, found = root_of(source), dict[str, list[str]]()
    for file in _files(source):
        try:
            document = voc.parse(file.read_bytes(), "annotations")
        except (OSError, ValueError):
            continue
        nodes = (node for node in document if node.tag in ("image", "track"))
        found |= {name: [name] for name in (_split(node, root, file) for node in nodes)}
    return own_splits(found)


def _split(node: Element, root: Path, file: Path) -> str:
    """The subset of an image or a track (CVAT calls that of all others `default`), else what the file's name says."""
    subset = " ".join(node.get("subset", "").split())
    if subset and subset.casefold() != "default":
        return subset
    return split_of_file(file, root, folders_first=True)


def _image(
    node: Element, labels: cvat_shapes.Labels, index: ImageIndex, file: Path, masked: bool
) -> Iterator[AnnotatedImage | Fault]:
    where, said = index.name(file), " ".join(node.get("name", "").split())
    subset = node.get("subset", "")
    found = yield from locate(node.get("name", ""), index, near=file.parent, where=where, split=subset)
    if found is None:
        return
    width, height = cvat_shapes.size(node.get("width"), node.get("height"))
    if not width:
        yield Fault(faults.SIZE_MISSING, index.name(found), "taken from the image", FIXED)
    boxes: list[Box] = []
    lost: list[Fault] = []
    for shape in node:
        if shape.tag in cvat_shapes.NO_SHAPES or shape.get("outside") == "1":
            continue
        label = sys.intern(" ".join(shape.get("label", "").split()))
        box, found_wrong = cvat_shapes.box(shape, label, labels, f"{where} {said}", (width, height), masked)
        if box is None:
            lost += found_wrong
        else:
            boxes.append(box)
            yield from found_wrong
    yield AnnotatedImage(found, index.name(found), tuple(boxes), width, height, lost=tuple(lost))
