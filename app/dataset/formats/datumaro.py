"""Reader of everything else that Datumaro reads: VoTT, WIDER FACE, MOT and the rest of its formats.

Datumaro is an extra. Importing it takes seconds, so it is imported only for a set that nothing of ours reads. It holds
a set's annotations in memory as a whole.
"""

import contextlib
import importlib.metadata
import importlib.util
import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app import log
from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage, Box, Category, Point
from app.dataset.faults import FIXED, Fault
from app.dataset.image_index import AmbiguousImage, ImageIndex, root_of
from app.dataset.splits import SPLIT_NAME
from app.errors import DatasetError
from app.settings import flag

INSTALL = "install Datumaro: uv sync --extra datumaro, or for the image --build-arg EXTRAS=datumaro"
WITHOUT_BOXES = frozenset(
    {"image_dir", "image_zip", "imagenet", "imagenet_with_subset_dirs", "tabular", "video_frames", "video_keyframes"}
)
"""Formats that fit any folder of images, and annotate nothing in them."""
READ_WRONG = {"roboflow_create_ml": "createml"}
"""Formats whose boxes it moves (it takes the middle of CreateML's for their corner), and the format here instead."""
NO_CLASS = frozenset({"background", "DontCare"})
"""What marks regions of no class: of formats like KITTI's, and of those made for masks."""
_SHAPES = ("bbox", "rotated_bbox", "polygon", "mask", "ellipse")
_NO_SHAPES = ("label", "caption", "hash_key", "feature_vector", "tabular")


def is_installed() -> bool:
    """Whether Datumaro can be imported; importing nothing."""
    return importlib.util.find_spec("datumaro") is not None


def version() -> str:
    """Datumaro's version."""
    return importlib.metadata.version("datumaro")


@log.native_output_dropped()
def names() -> tuple[str, ...]:
    """The formats that Datumaro reads right as far as is known, by its names."""
    return tuple(sorted(set(_environment().importers) - READ_WRONG.keys()))


@log.native_output_dropped()
def recognise(source: Path) -> tuple[str, ...]:
    """The formats that `source` fits equally well, in Datumaro's judgement."""
    try:
        found = _environment().detect_dataset(str(source))
    except Exception as error:  # Its eighty plug-ins raise what they like.
        logging.getLogger(__name__).debug("Datumaro gives up on %s: %s", source, error)
        return ()
    return tuple(name for name in found if name not in WITHOUT_BOXES | READ_WRONG.keys())


def _environment() -> Any:
    from datumaro.components.environment import Environment

    return Environment()


class DatumaroReader:
    """A reader, as in `formats.Reader`, of one of Datumaro's formats."""

    def __init__(self, name: str):
        self.NAME = name
        self._loaded: tuple[Path, Any, list[Fault]] | None = None

    def recognise(self, source: Path) -> str:
        """Why `source` is of this format, or an empty string."""
        return f"Datumaro takes it for {self.NAME}" if self.NAME in recognise(source) else ""

    def splits(self, source: Path) -> tuple[str, ...]:
        """The set's subsets; none where it has only one, which Datumaro calls by a file's name or `default`."""
        found = tuple(sorted(self._load(source)[0].subsets()))
        return found if len(found) > 1 or SPLIT_NAME.fullmatch("".join(found)) else ()

    def read(
        self, source: Path, split: str = "", *, masked: bool = False
    ) -> Iterator[AnnotatedImage | Category | Fault]:
        """The images of one subset, or without a name of all; the classes; what Datumaro could not read."""
        dataset, found = self._load(source)
        yield from found
        root = root_of(source)
        index = ImageIndex(root)
        labels = [label.name for label in dataset.categories().get(_kind("label"), ())]
        yield from (Category(name) for name in labels if name not in NO_CLASS)
        for item in dataset.subsets()[split] if split else dataset:
            yield from _image(item, labels, root, index, masked)

    def _load(self, source: Path) -> tuple[Any, list[Fault]]:
        if self._loaded is None or self._loaded[0] != source:
            self._loaded = source, *_import(source, self.NAME)
        return self._loaded[1:]


@log.native_output_dropped()
def _import(source: Path, name: str) -> tuple[Any, list[Fault]]:
    """The set as Datumaro reads it, and the images and annotations that it can't. Raises DatasetError."""
    from datumaro.components.dataset import Dataset
    from datumaro.components.importer import ImportErrorPolicy

    found: list[Fault] = []

    class Counting(ImportErrorPolicy):
        """Goes on after an error."""

        def _handle_item_error(self, error: Exception) -> None:
            found.append(_fault(faults.ANNOTATION_UNREADABLE, error, source))

        def _handle_annotation_error(self, error: Exception) -> None:
            found.append(_fault(faults.BOX_UNREADABLE, error, source))

    try:
        dataset = Dataset.import_from(str(source), name, error_policy=Counting())
        dataset.init_cache()
    except Exception as error:  # Its eighty plug-ins raise what they like.
        raise DatasetError(
            f"Datumaro can't read it as {name}: {_line(error)}", where=str(source), remedy=flag("format")
        ) from None
    return dataset, found


def _fault(kind: str, error: Exception, source: Path) -> Fault:
    item = getattr(error, "item_id", None)
    return Fault(kind, str(item[0] if item else source.name), _line(error))


def _line(error: Exception) -> str:
    """What is behind an error, in a line: Datumaro wraps each in one that says only which set it was."""
    cause = error.__cause__ or error
    return " ".join(str(cause).split())[:200] or type(cause).__name__


def _kind(name: str) -> Any:
    from datumaro.components.annotation import AnnotationType

    return AnnotationType[name]


def _image(
    item: Any, labels: list[str], root: Path, index: ImageIndex, masked: bool
) -> Iterator[AnnotatedImage | Fault]:
    try:
        path = _path(item, root, index)
    except AmbiguousImage as error:
        yield Fault(faults.IMAGE_AMBIGUOUS, item.id, ", ".join(error.args))
        return
    if path is None:
        yield Fault(faults.IMAGE_MISSING, item.id)
        return
    name = index.name(path) if path.is_relative_to(root) else path.name
    boxes, lost = [], []
    for group in _objects(item.annotations):
        box = _box(group, labels, name, masked)
        if isinstance(box, Fault):
            lost.append(box)
        elif box is not None:
            boxes.append(box)
            if masked and box.mask is None and any(a.type.name in ("polygon", "mask") for a in group):
                yield Fault(faults.MASK_UNREADABLE, name, box.label, FIXED)
    yield AnnotatedImage(path, name, tuple(boxes), lost=tuple(lost))


def _path(item: Any, root: Path, index: ImageIndex) -> Path | None:
    """The image's file: where Datumaro found it, else the one of its name below the set's folder."""
    said = Path(getattr(item.media, "path", "") or "")
    if said.name and said.is_file():
        return said.resolve() if said.resolve().is_relative_to(root) else said
    return index.find(said.name or item.id, near=root, split=item.subset)


def _objects(annotations: list[Any]) -> list[list[Any]]:
    """Annotations of one object together: those of one group, or each of its own."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for number, annotation in enumerate(annotations):
        groups[(annotation.group,) if annotation.group else (0, number)].append(annotation)
    # A group may also join several objects: then each is one, and keypoints go to none of them.
    split = []
    for group in groups.values():
        boxes = [a for a in group if a.type.name == "bbox"]
        split += [[a] for a in boxes] if len(boxes) > 1 else [group]
    return split


def _box(group: list[Any], labels: list[str], where: str, masked: bool) -> Box | Fault | None:
    """The box of an object: its own, else the one around its shapes. None for what is no object."""
    shapes = [a for kind in _SHAPES for a in group if a.type.name == kind]
    if not shapes:
        drawn = [a.type.name for a in group if a.type.name not in _NO_SHAPES]
        return Fault(faults.BOX_UNREADABLE, where, f"{drawn[0]} without a box") if drawn else None
    first = shapes[0]
    number = first.label
    if number is None or not 0 <= number < len(labels):
        return Fault(faults.LABEL_UNKNOWN, where, f"{first.type.name} without a class")
    if labels[number] in NO_CLASS:
        return None
    try:
        x, y, width, height = map(float, _around(shapes))
    except Exception as error:  # Of shapes with too few points, or bitmaps without any.
        return Fault(faults.BOX_UNREADABLE, where, f"{labels[number]}: {_line(error)}")
    said = {key: bool(first.attributes.get(key)) for key in ("is_crowd", "difficult", "truncated")}
    return Box(
        labels[number], x, y, x + width, y + height, **said, group_of=bool(first.attributes.get("is_group_of")),
        mask=_mask(shapes) if masked else None, keypoints=_keypoints(group),
    )  # fmt: skip


def _around(shapes: list[Any]) -> tuple[float, float, float, float]:
    """x, y, width, height: of the box that was drawn, else around all shapes."""
    if shapes[0].type.name == "bbox":
        return shapes[0].get_bbox()
    found = [shape.get_bbox() for shape in shapes]
    x, y = min(box[0] for box in found), min(box[1] for box in found)
    return x, y, max(b[0] + b[2] for b in found) - x, max(b[1] + b[3] for b in found) - y


def _mask(shapes: list[Any]) -> masks.Mask | None:
    outlines = [shape.points for shape in shapes if shape.type.name == "polygon"]
    with contextlib.suppress(Exception):
        if outlines:
            return masks.of_outlines(outlines)
        return next((masks.of_bitmap(shape.image) for shape in shapes if shape.type.name == "mask"), None)
    return None


def _keypoints(group: list[Any]) -> tuple[Point, ...]:
    points = next((a for a in group if a.type.name == "points"), None)
    if points is None:
        return ()
    xs, ys = points.points[0::2], points.points[1::2]
    seen = [int(getattr(v, "value", v)) for v in points.visibility or [2] * len(xs)]
    return tuple((float(x), float(y), v) for x, y, v in zip(xs, ys, seen, strict=False))
