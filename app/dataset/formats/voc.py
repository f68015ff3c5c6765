"""Reader of Pascal VOC: one XML file an image, with `ImageSets` or loose, beside the images or apart."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, ParseError, fromstring

from defusedxml import DefusedXmlException, ElementTree

from app import text_files
from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box, Category
from app.dataset.faults import DROPPED, FIXED, Fault
from app.dataset.image_index import AmbiguousImage, ImageIndex, PathIndex, name_in, name_key, walk
from app.dataset.shapes import Corners, box_around, box_around_rotated
from app.dataset.splits import own_splits, split_of_folder

NAME = "voc"
_LOOKED_AT = 20
_CLASS_LINE = re.compile(r".*\s+(-1|0|1)")
_ENCODING = re.compile(rb"encoding\s*=\s*[\"'](?!utf-8[\"']|us-ascii[\"']|iso-8859-1[\"'])", re.IGNORECASE)
"""A declared encoding in which bytes may not be the letters that they look like, such as UTF-7."""


def recognise(source: Path) -> str:
    """Why `source` is a VOC set: what was found, or an empty string."""
    if not source.is_dir():
        return ""
    files = walk(source, {".xml"})
    found = next((f for f in files[:_LOOKED_AT] if _is_annotation(_raw(f).replace(b"\0", b""))), None)
    if found is None:
        return ""
    lists = len(_image_sets(source))
    return f"{len(files)} XML files such as {name_in(source, found)}" + (
        f" and {lists} lists in ImageSets" if lists else ""
    )


def _is_annotation(content: bytes) -> bool:
    """Whether XML is VOC's, and neither CVAT's (`<annotations>`) nor LabelMe's (outlines without boxes)."""
    outlined = b"<polygon" in content and b"<bndbox" not in content
    return re.search(rb"<annotation[\s>]", content[:4096]) is not None and not outlined


def splits(source: Path) -> tuple[str, ...]:
    """The set's own splits: the lists in ImageSets, else folders of XML named train, val, test ..."""
    lists = _image_sets(source)
    if lists:
        return tuple(sorted({path.stem for path in lists}))
    return tuple(sorted(name for name in _by_folder(source) if name))


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The images of one split in the order of its list, or without a name all of them."""
    index = ImageIndex(source)
    for path, missing in _annotations(source, split):
        if missing:
            yield Fault(faults.ANNOTATION_MISSING, missing, f"no XML, listed in {split}")
            continue
        yield from image(path, index, split)


def _image_sets(source: Path) -> list[Path]:
    """The lists of whole splits that name an image. Those of a class (`dog_train.txt`) have a second column."""
    lists = [p for p in walk(source, {".txt"}) if p.parent.name == "Main" and p.parent.parent.name == "ImageSets"]
    return [path for path in lists if not all(map(_CLASS_LINE.fullmatch, text_files.lines(path)))]


def _by_folder(source: Path) -> dict[str, list[Path]]:
    """The XML files of each split, as their folders name it."""
    found: dict[str, list[Path]] = {}
    for path in walk(source, {".xml"}):
        found.setdefault(split_of_folder(path.relative_to(source).parts[:-1]), []).append(path)
    return own_splits(found)


def _annotations(source: Path, split: str) -> Iterator[tuple[Path, str]]:
    """The XML files of a split, and the name in its list where there is none."""
    lists = [path for path in _image_sets(source) if path.stem == split] if split else []
    paths = PathIndex()
    for path in lists:
        folder = path.parent.parent.parent / "Annotations"
        for name in text_files.lines(path):
            # Some tools write file names where VOC has stems.
            stems = (name, PurePosixPath(name.replace(chr(92), "/")).stem)
            file = next(filter(None, (paths.find(folder, f"{stem}.xml") for stem in stems)), folder / f"{name}.xml")
            yield file, "" if file.is_file() else name
    if not lists:
        files = _by_folder(source)[split] if split else walk(source, {".xml"})
        yield from ((path, "") for path in files)


def image(path: Path, index: ImageIndex, split: str) -> Iterator[AnnotatedImage | Fault]:
    """The image that an XML file annotates, and what was wrong with the file."""
    where = index.name(path)
    try:
        root = parse(path.read_bytes())
    except (OSError, ValueError) as error:
        fault = Fault(faults.ANNOTATION_UNREADABLE, where, getattr(error, "strerror", None) or str(error))
        try:
            found = index.find(path.stem, near=path.parent, split=split)
        except AmbiguousImage:
            found = None
        yield fault if found is None else AnnotatedImage(found, index.name(found), (), lost=(fault,))
        return
    said = (root.findtext("filename") or "").strip()
    try:
        found = _find(path, said, index, split)
    except AmbiguousImage as error:
        yield Fault(faults.IMAGE_AMBIGUOUS, where, ", ".join(error.args))
        return
    if found is None:
        yield Fault(faults.IMAGE_MISSING, where, f"neither {path.stem}.* nor {said or 'a filename'}")
        return
    if said and name_key(PurePosixPath(said.replace("\\", "/")).stem) != name_key(found.stem):
        yield Fault(faults.FILENAME_WRONG, where, f"{said}, taken: {found.name}", FIXED)
    boxes: list[Box] = []
    lost: list[Fault] = []
    for node in root.iterfind("object"):
        for item in _object(node, where):
            if isinstance(item, Box):
                boxes.append(item)
            elif item.action == DROPPED:
                lost.append(item)
            else:
                yield item
    width, height = (_number(root.findtext(f"size/{side}")) or 0 for side in ("width", "height"))
    if not (0 < width < 1e6 and 0 < height < 1e6):
        yield Fault(faults.SIZE_MISSING, where, "taken from the image", FIXED)
        width = height = 0
    yield AnnotatedImage(found, index.name(found), tuple(boxes), round(width), round(height), lost=tuple(lost))


def _find(path: Path, said: str, index: ImageIndex, split: str) -> Path | None:
    """The image of the XML's own stem, else of `<filename>`, which also tells a.jpg and a.png apart."""
    try:
        found = index.find(path.stem, near=path.parent, split=split)
    except AmbiguousImage:
        name = PurePosixPath(said.replace("\\", "/")).name
        if name_key(PurePosixPath(name).stem) != name_key(path.stem):
            raise
        return index.find(name, near=path.parent, split=split)
    return index.find(said, near=path.parent, split=split) if found is None and said else found


def _object(node: Element, where: str) -> Iterator[Box | Fault]:
    """The box of an `<object>`: its own, else the one around what is drawn instead, which a fault then says."""
    # The same few names for all: a set has millions of boxes.
    label = sys.intern(" ".join((node.findtext("name") or "").split()))
    if not label:
        yield Fault(faults.LABEL_UNKNOWN, where, "object without a name")
        return
    corners = _corners(node.find("bndbox"), ("xmin", "ymin", "xmax", "ymax"))
    if corners is None:
        shape, corners = _around(node)
        if corners is None:
            yield Fault(faults.BOX_UNREADABLE, where, f"{label} without a whole bndbox")
            return
        yield Fault(faults.BOX_AROUND, where, f"{label}, {shape}", FIXED)
    difficult, truncated = (node.findtext(key, "").strip() == "1" for key in ("difficult", "truncated"))
    yield Box(label, *corners, difficult=difficult, truncated=truncated)


def _corners(node: Element | None, names: tuple[str, ...]) -> tuple[float, float, float, float] | None:
    """The four numbers of these names below `node`, or None where one is missing."""
    said = {} if node is None else {side.tag: side.text for side in reversed(node)}
    first, second, third, fourth = (_number(said.get(key)) for key in names)
    if first is None or second is None or third is None or fourth is None:
        return None
    return first, second, third, fourth


def _around(node: Element) -> tuple[str, Corners | None]:
    """The box around an object's `robndbox` (roLabelImg: cx, cy, w, h and angle in radians) or its outline."""
    rotated = node.find("robndbox")
    if rotated is not None:
        middle, angle = _corners(rotated, ("cx", "cy", "w", "h")), _number(rotated.findtext("angle")) or 0.0
        return "robndbox", middle and box_around_rotated(*middle, angle)
    for name in ("polygon", "segmentation", "keypoints"):
        outline = node.find(name)
        if outline is not None:
            points = _points(outline)
            return name, box_around(points) if points else None
    return "", None


def _points(node: Element) -> list[tuple[float, float]]:
    """Points as `<pt><x/><y/></pt>` (LabelMe), as `<x1/><y1/><x2/><y2/> ...` (Roboflow), or `<x/><y/>` in turn."""
    xs = [_number(side.text) for side in node.iter() if re.fullmatch(r"x\d*", side.tag)]
    ys = [_number(side.text) for side in node.iter() if re.fullmatch(r"y\d*", side.tag)]
    points = [(x, y) for x, y in zip(xs, ys, strict=False) if x is not None and y is not None]
    return points if len(points) == len(xs) == len(ys) else []


def parse(data: bytes, tag: str = "annotation") -> Element:
    """The root element, a `tag`, of a file in any encoding; entities and DTD tricks are refused.

    A second try decodes the text here: expat takes no multi-byte encodings but UTF-8 and UTF-16, nor a
    declaration that is untrue (UTF-8 text that says it is UTF-16). Raises ValueError with one line.
    """
    try:
        root = _parsed(data)
    except DefusedXmlException as error:
        raise ValueError(f"hostile XML: {type(error).__name__}") from None
    except (ParseError, ValueError, LookupError) as error:
        try:
            text, guessed = _decoded(data)
            root = ElementTree.fromstring(text)
        except DefusedXmlException as hostile:
            raise ValueError(f"hostile XML: {type(hostile).__name__}") from None
        except (ParseError, ValueError, LookupError):
            raise ValueError(f"no XML: {error}") from None
        if guessed and not all(map(str.isascii, _words(root))):
            raise ValueError(f"no UTF-8, and its encoding can't be told ({guessed}?)") from None
    if root.tag.startswith("{"):
        for node in root.iter():
            node.tag = node.tag.rpartition("}")[2]  # A namespace, which some tools declare.
    if root.tag != tag:
        raise ValueError(f"<{root.tag[:40]}> where <{tag}> was expected")
    return root


def _words(root: Element) -> Iterator[str]:
    """What may be names of classes."""
    for node in root.iter():
        yield from node.attrib.values()
        if node.tag in ("name", "label"):
            yield node.text or ""


def _parsed(data: bytes) -> Element:
    """The root element. Entities are declared in a DOCTYPE; without one the parser that does not watch is ten times
    as fast. That none is there can be seen only where letters are ASCII's.
    """
    if data.isascii() and b"<!" not in data and not _ENCODING.search(data.partition(b"?>")[0]):
        return fromstring(data)
    return ElementTree.fromstring(data)


def _decoded(data: bytes) -> tuple[str, str]:
    """The text, and the encoding where it is a guess."""
    declared = re.match(rb"\s*<\?xml[^>]*encoding=[\"']([\w.-]+)", data.replace(b"\0", b"")[:200])
    marks = {
        b"\xff\xfe": "utf-16",
        b"\xfe\xff": "utf-16",
        b"\xef\xbb": "utf-8-sig",
        b"<\0": "utf-16-le",
        b"\0<": "utf-16-be",
    }
    encoding = marks.get(data[:2]) or (declared and declared[1].decode("ascii"))
    for candidate in filter(None, (encoding, "utf-8")):
        try:
            return _undeclared(data.decode(candidate)), ""
        except (UnicodeError, LookupError):
            continue
    found = text_files.find_encoding(data)
    return _undeclared(found.text), "" if found.is_sure else found.encoding


def _undeclared(content: str) -> str:
    """XML without its declaration: text that is decoded must not say how it was encoded."""
    return re.sub(r"^\s*<\?xml[^>]*\?>", "", content)


def _number(said: str | None) -> float | None:
    try:
        return float(said or "")
    except ValueError:
        return None


def _raw(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
