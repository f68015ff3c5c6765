"""Reader of TFRecords that the OD API's tools have written: checked here, then written again like any other set."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.dataset import example, faults, masks, records
from app.dataset.annotation import AnnotatedImage, Box, Category, Point, sort_annotations
from app.dataset.faults import FIXED, Fault
from app.dataset.formats.record_classes import RecordClasses, label_maps
from app.dataset.image_index import name_in, root_of, walk
from app.dataset.splits import files_of, named_in, own_splits, split_of_folder
from app.errors import DatasetError
from app.run.directory import DATASET_CARD

NAME = "tfrecord"
FILE_NAME = re.compile(
    r"(.*\.(tfrecords?|tfrec|records?)|.+-\d{5}-of-\d{5}(\.\w+)?)(\.(gz|gzip|zlib|zz?))?", re.IGNORECASE
)
PIXELS_FROM = 1.5
"""A corner beyond this many images is one in pixels."""
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def recognise(source: Path) -> str:
    """Why `source` (a folder or one record file) is such a set: what was found, or an empty string."""
    files = [path for paths in _files(source).values() for path in paths]
    found = next((path for path in files if _has_images(path)), None)
    if found is None:
        return ""
    maps = label_maps(source)
    name = name_in(found.parent, found)
    return f"{len(files)} record files such as {name}" + (f" and {maps[0].name}" if maps else "")


def splits(source: Path) -> tuple[str, ...]:
    """The splits that the files' names or folders speak of: `train-00000-of-00004.tfrecord`, `pets_val.record`."""
    return tuple(name for name in _files(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The images of one split, or without a name of all. Classes keep the order of their numbers.

    Names are those in the records if there are any, else the label map's, else the numbers themselves.
    """
    root, files = root_of(source), _files(source)
    used = [path for paths in files.values() for path in paths]
    for path in _named(source).get("", []):
        if path not in used:
            yield Fault(faults.IMAGE_LEFT_OUT, name_in(root, path), "all of its records")
    classes, taken = RecordClasses(source, used), set[str]()
    yield from (Category(name) for name in classes.resolver.classes)
    for part, path in files_of(files, split):
        yield from _File(path, name_in(root, path), part, classes, taken, masked).items()
    yield from (Category(name) for name in classes.resolver.classes)
    yield from classes.faults


def _files(source: Path) -> dict[str, list[Path]]:
    """The record files of each split."""
    return own_splits(_named(source))


def _named(source: Path) -> dict[str, list[Path]]:
    """The record files by the split that they or their folders name; `""`: none.

    Records that detbox has written below the set's folder are not the set's.
    """
    if source.is_file():
        return {"": [source]} if FILE_NAME.fullmatch(source.name) else {}
    files = [path for path in walk(source) if FILE_NAME.fullmatch(path.name)]
    files = [path for path in files if path.parent == source or not (path.parent / DATASET_CARD).is_file()]
    found: dict[str, list[Path]] = {}
    for path in files:
        name = named_in(path.name) or split_of_folder(path.relative_to(source).parts[:-1])
        found.setdefault(name, []).append(path)
    return found


def _has_images(path: Path) -> bool:
    try:
        return "image/encoded" in example.decode(next(records.read_raw(path), b""))
    except DatasetError:
        return records.is_damaged(path)
    except ValueError:
        return False


class _File:
    """One record file, taken apart. `taken` are the names that images of the set have already."""

    def __init__(self, path: Path, where: str, split: str, classes: RecordClasses, taken: set[str], masked: bool):
        self.path, self.where, self.split, self.classes = path, where, split, classes
        self.taken, self.masked = taken, masked

    def items(self) -> Iterator[AnnotatedImage | Fault]:
        for number, item in enumerate(self._records()):
            if isinstance(item, Fault):
                yield item
                continue
            where = f"{self.where} record {number}"
            try:
                yield from self._image(example.decode(item[1]), item[0], where)
            except ValueError as error:
                yield Fault(faults.ANNOTATION_UNREADABLE, where, " ".join(str(error).split())[:120])

    def _records(self) -> Iterator[tuple[int, bytes] | Fault]:
        try:
            yield from records.scan(self.path)
        except DatasetError as error:  # What comes after the damage can't be found.
            yield Fault(faults.RECORD_DAMAGED, self.where, f"{error.what}; what follows is lost")

    def _image(self, row: dict[str, list[Any]], offset: int, where: str) -> Iterator[AnnotatedImage | Fault]:
        encoded = row.get("image/encoded") or []
        if not (len(encoded) == 1 and isinstance(encoded[0], bytes) and encoded[0]):
            yield Fault(faults.IMAGE_MISSING, where, "no image/encoded")
            return
        width, height = (int((_numbers(row, f"image/{side}") or [0])[0]) for side in ("width", "height"))
        if not (0 < width < 1e6 and 0 < height < 1e6):
            width = height = 0
        scale = (width, height) if width and self._in_pixels(row) else (1, 1)
        if scale != (1, 1):
            yield Fault(faults.BOX_IN_PIXELS, where, f"divided by {width}x{height}", FIXED)
        boxes, lost, fixed = sort_annotations(self._boxes(row, where, scale, (width or 1) * (height or 1)))
        yield from fixed
        name = self._name(row, where)
        yield AnnotatedImage(self.path, name, boxes, width, height, fractions=True, offset=offset, lost=lost)

    def _in_pixels(self, row: dict[str, list[Any]]) -> bool:
        return any(max(_numbers(row, f"image/object/bbox/{key}"), default=0) > PIXELS_FROM for key in _CORNERS)

    def _name(self, row: dict[str, list[Any]], where: str) -> str:
        """The file's name in the record, made unique: records of one image cut up or changed share it."""
        said = [_text(v) for key in ("image/filename", "image/source_id") for v in row.get(key, [])[:1]]
        name = next((text for text in said if text), where)
        if self.split and not name.startswith(f"{self.split}/"):
            name = f"{self.split}/{name}"
        if name in self.taken:
            name = f"{name} ({where})"
        self.taken.add(name)
        return name

    def _boxes(
        self, row: dict[str, list[Any]], where: str, scale: tuple[int, int], pixels: int
    ) -> Iterator[Box | Fault]:
        """The boxes in fractions. Raises ValueError where lists of one image do not go together."""
        corners = [_numbers(row, f"image/object/bbox/{key}") for key in _CORNERS]
        count = len(corners[0])
        texts, labels = row.get("image/object/class/text", []), _numbers(row, "image/object/class/label")
        lengths = {len(values) for values in (*corners, *filter(None, (texts, labels)))}
        if lengths != {count} or (count and not (texts or labels)):
            raise ValueError(f"lists of different lengths for its boxes: {', '.join(map(str, sorted(lengths)))}")
        flags = {key: _each(row, key, count) for key in ("is_crowd", "difficult", "truncated", "group_of")}
        areas, drawn, points = _each(row, "area", count), self._masks(row, count), _keypoints(row, count)
        for i, values in enumerate(zip(*corners, strict=True)):
            number = int(labels[i]) if labels else None
            label, fault = self.classes.find(texts[i] if texts else b"", number, where)
            if fault:
                yield fault
            if not label:
                continue
            mask = drawn[i]
            if isinstance(mask, str):
                yield Fault(faults.MASK_UNREADABLE, where, mask, FIXED)
            xmin, ymin, xmax, ymax = (value / side for value, side in zip(values, (*scale, *scale), strict=True))
            yield Box(
                label, xmin, ymin, xmax, ymax,
                is_crowd=bool(flags["is_crowd"][i]), difficult=bool(flags["difficult"][i]),
                truncated=bool(flags["truncated"][i]), group_of=bool(flags["group_of"][i]),
                area=areas[i] / pixels if areas[i] > 0 else None,
                mask=mask if isinstance(mask, masks.Mask) else None, keypoints=points[i],
            )  # fmt: skip

    def _masks(self, row: dict[str, list[Any]], count: int) -> list[masks.Mask | str | None]:
        """A mask, what is wrong with it, or None for each box: of PNGs, or of numbers in the image's size."""
        values = row.get("image/object/mask", []) if self.masked else []
        if not values:
            return [None] * count
        if isinstance(values[0], bytes):
            return [_mask(value) for value in values] if len(values) == count else ["not one for each box"] * count
        sides = [int((_numbers(row, f"image/{side}") or [0])[0]) for side in ("height", "width")]
        if min(sides) < 1 or len(values) != count * sides[0] * sides[1]:
            return ["not the image's size"] * count
        return [masks.of_bitmap(bitmap) for bitmap in np.asarray(values, np.float32).reshape(count, *sides)]


def _mask(data: bytes) -> masks.Mask | str:
    try:
        return masks.of_png(data)
    except ValueError as error:
        return str(error)


def _numbers(row: dict[str, list[Any]], key: str) -> Sequence[float]:
    values = row.get(key, [])
    return [] if values and isinstance(values[0], bytes) else values


def _each(row: dict[str, list[Any]], key: str, count: int) -> Sequence[Any]:
    """A number for each box: zeros where the record does not have them all."""
    values = _numbers(row, f"image/object/{key}")
    return values if len(values) == count else [0] * count


def _keypoints(row: dict[str, list[Any]], count: int) -> list[tuple[Point, ...]]:
    """The keypoints of each box, in fractions; without the record's word on it, all are visible."""
    xs, ys = (_numbers(row, f"image/object/keypoint/{axis}") for axis in "xy")
    if not count or not xs or len(xs) != len(ys) or len(xs) % count:
        return [()] * count
    seen = _numbers(row, "image/object/keypoint/visibility")
    seen = seen if len(seen) == len(xs) else [2] * len(xs)
    points = [(float(x), float(y), int(v) if x == x and y == y else 0) for x, y, v in zip(xs, ys, seen, strict=True)]
    each = len(xs) // count
    return [tuple(points[i * each : (i + 1) * each]) for i in range(count)]


def _text(value: Any) -> str:
    return " ".join(value.decode("utf-8", errors="replace").split()) if isinstance(value, bytes) else ""
