"""Reader of COCO JSON: one file, `annotations/instances_*.json`, or Roboflow's file in each split."""

import contextlib
import functools
import json
import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage, Box, Category, Point
from app.dataset.code_page import read_text
from app.dataset.faults import FIXED, Fault
from app.dataset.formats import json_files
from app.dataset.formats.image_lookup import locate
from app.dataset.image_index import ImageIndex, name_in
from app.dataset.shapes import Corners, box_around, box_around_rotated
from app.dataset.splits import SPLIT_NAME, named_in, split_of_folder

NAME = "coco"
ROBOFLOW = "_annotations.coco.json"
_TEXT_MAX = 1 << 20


def recognise(source: Path) -> str:
    """Why `source` (a folder or a JSON file) is a COCO set: what was found, or an empty string."""
    files = list(_files(source).values())
    if not files:
        return ""
    root = _root(source)
    return "COCO JSON in " + ", ".join(name_in(root, file) for file in files)


def splits(source: Path) -> tuple[str, ...]:
    """The names of the set's own splits, such as `train2017` or `valid`; none for a single file."""
    return tuple(name for name in _files(source) if name)


def read(source: Path, split: str = "", *, masked: bool = False) -> Iterator[AnnotatedImage | Category | Fault]:
    """The images of one split, or without a name of all, in the order of the JSON's `images`."""
    root = _root(source)
    index = ImageIndex(root)
    for name, file in _files(source).items():
        if not split or name == split:
            where = name_in(root, file)
            yield from _Document(file, where, index, name, masked).items()


def _root(source: Path) -> Path:
    if source.is_dir():
        return source
    return source.parent.parent if source.parent.name == "annotations" else source.parent


def _files(source: Path) -> dict[str, Path]:
    """The JSON file of each split. `""` stands for a set without splits."""
    if source.is_file():
        return {"": source} if _is_coco(source) else {}
    standard = sorted(source.glob("annotations/instances_*.json"))
    names = {path.stem.removeprefix("instances_"): path for path in standard}
    if not names:
        names = {path.parent.name: path for path in sorted(source.glob(f"*/{ROBOFLOW}"))}
    if not names:
        inside = [path for path in sorted(source.glob("*/*.json")) if split_of_folder((path.parent.name,))]
        names = {path.parent.name: path for path in inside if _is_coco(path)}
    if not names:
        loose = sorted(source.glob("*.json")) + sorted(source.glob("annotations/*.json"))
        fitting = [path for path in loose if _is_coco(path)]
        names = {named_in(path.stem) or path.stem: path for path in fitting}
        if len(names) < len(fitting):
            names = {path.stem: path for path in fitting}
    if len(names) == 1 and not SPLIT_NAME.fullmatch(next(iter(names))):
        names = {"": next(iter(names.values()))}
    return names


def _is_coco(path: Path) -> bool:
    if path.suffix.lower() != ".json":
        return False
    return json_files.holds(path, "images", "annotations")


def _reduced(node: dict[str, Any], masked: bool) -> dict[str, Any]:
    """Drops outlines while the JSON is parsed, or packs them where they are asked for: they are most of a COCO file.

    An annotation without a box gets `around`, x, y, width, height of what is drawn instead, and its name as `shape`.
    Of an outline that can't be read a text is left that says why.
    """
    if "image_id" in node:
        node |= {key: _usual(node[key]) for key in ("bbox", "segmentation") if key in node}
        if found := _around(node):
            node["shape"], node["around"] = found
    if not masked:
        node.pop("segmentation", None)
    elif node.get("segmentation"):
        try:
            node["segmentation"] = masks.of_coco(node["segmentation"])
        except ValueError as error:
            node["segmentation"] = str(error)
    return node


def _usual(said: Any) -> Any:
    """A box or an outline as COCO writes it: lists that tables have made texts, points as pairs, a bitmap in a list."""
    if isinstance(said, str) and said.startswith(("[", "{")) and len(said) < _TEXT_MAX:
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(said)
    if isinstance(said, list) and len(said) == 1 and isinstance(said[0], dict) and "counts" in said[0]:
        return said[0]
    if isinstance(said, list) and any(isinstance(one, list) and one and isinstance(one[0], list) for one in said):
        return [[x for point in one for x in (point if isinstance(point, list) else [point])] for one in said if one]
    return said


def _around(node: dict[str, Any]) -> tuple[str, list[float]] | None:
    """The name of what is drawn in place of an upright box, and the box around it; None where there is no need."""
    said = node.get("bbox")
    numbers = [float(value) for value in said if _is_number(value)] if isinstance(said, list) else []
    try:
        if isinstance(said, list) and len(numbers) == len(said) == 5:  # Detectron2's XYWHA, in degrees
            x, y, width, height, degrees = numbers
            return "rotated bbox", _sized(box_around_rotated(x, y, width, height, math.radians(degrees)))
        if len(numbers) == 4 and numbers[2] > 0 and numbers[3] > 0:
            attributes = node.get("attributes")
            turn = attributes.get("rotation") if isinstance(attributes, dict) else None
            if turn is None or not _is_number(turn) or turn % 180 == 0:  # CVAT's, in degrees
                return None
            x, y, width, height = numbers
            corners = box_around_rotated(x + width / 2, y + height / 2, width, height, math.radians(turn))
            return "rotated bbox", _sized(corners)
        drawn = node.get("segmentation")
        if isinstance(drawn, dict):
            return "bitmap", masks.box_around(masks.of_coco(drawn))
        outlines = drawn if isinstance(drawn, list) and drawn and isinstance(drawn[0], list) else [drawn or []]
        values = [float(value) for outline in outlines for value in outline]
        if len(values) >= 4 and not any(len(outline) % 2 for outline in outlines):
            return "outline", _sized(box_around(zip(values[0::2], values[1::2], strict=True)))
        points = [(x, y) for x, y, seen in _keypoints(node.get("keypoints")) if seen]
        return ("keypoints", _sized(box_around(points))) if points else None
    except (TypeError, ValueError, OverflowError):
        return None


def _sized(corners: Corners) -> list[float]:
    """x, y, width, height of a box."""
    xmin, ymin, xmax, ymax = corners
    return [xmin, ymin, xmax - xmin, ymax - ymin]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class _Document:
    """One COCO file, taken apart."""

    def __init__(self, file: Path, where: str, index: ImageIndex, split: str, masked: bool):
        self.file, self.where, self.index, self.split, self.masked = file, where, index, split, masked

    def items(self) -> Iterator[AnnotatedImage | Category | Fault]:
        try:
            hook = functools.partial(_reduced, masked=self.masked)
            text, found = read_text(self.file, self.where)
            content = json.loads(text, object_hook=hook)
        except (OSError, ValueError, RecursionError) as error:
            yield Fault(faults.ANNOTATION_UNREADABLE, self.where, " ".join(str(error).split()))
            return
        yield from found
        labels: dict[Any, str] = {}
        yield from self._categories(_rows(content, "categories"), labels)
        images = yield from self._told_apart(_rows(content, "images"))
        boxes: dict[Any, list[Box]] = {_key(image.get("id")): [] for image in images}
        lost: dict[Any, list[Fault]] = {key: [] for key in boxes}
        for row in _rows(content, "annotations"):
            key, where = _key(row.get("image_id")), f"{self.where} annotation {row.get('id')}"
            if key not in boxes:
                yield Fault(faults.BOX_ORPHAN, where, f"image_id {row.get('image_id')}")
                continue
            box = self._box(row, labels, where)
            if isinstance(box, Fault):
                lost[key].append(box)
                continue
            if row.get("around"):
                yield Fault(faults.BOX_AROUND, where, f"{box.label}, {row.get('shape')}", FIXED)
            boxes[key].append(box)
            if isinstance(row.get("segmentation"), str):
                yield Fault(faults.MASK_UNREADABLE, where, row["segmentation"][:120], FIXED)
            if row.get("keypoints") and not box.keypoints:
                yield from _keypoint_fault(row["keypoints"], where)
        for image in images:
            yield from self._image(image, boxes, lost)

    def _categories(self, rows: list[dict[str, Any]], labels: dict[Any, str]) -> Iterator[Category | Fault]:
        """Yields the classes in the order of their ids, which is stable whatever the order in the file."""
        groups = {_text(row.get("supercategory", "")) for row in rows}
        seen = set()
        for row in sorted(rows, key=lambda row: (not isinstance(row.get("id"), int), str(row.get("id")).zfill(12))):
            name = _text(row.get("name") or "")
            if not name:
                yield Fault(faults.LABEL_UNKNOWN, self.where, f"category {row.get('id')} without a name")
                continue
            first = labels.setdefault(_key(row.get("id")), name)
            if first != name:
                yield Fault(faults.LABEL_ID_TWICE, self.where, f"category {row.get('id')}: {first}, {name}")
                continue
            if name in seen:
                yield Fault(faults.LABEL_TWICE, self.where, name, FIXED)
                continue
            seen.add(name)
            yield Category(name, group=name in groups and row.get("supercategory") in (None, "", "none", name))

    def _told_apart(self, rows: list[dict[str, Any]]) -> Generator[Fault, None, list[dict[str, Any]]]:
        """The images but those of one id, whose boxes could be any one's. One that is listed twice is an image."""
        names: dict[str, dict[str, None]] = {}
        for row in rows:
            names.setdefault(_key(row.get("id")), {}).setdefault(_text(row.get("file_name") or ""))
        for key, several in names.items():
            if len(several) > 1:
                detail = f"{', '.join(list(several)[:3])}{' ...' if len(several) > 3 else ''}"
                yield Fault(faults.IMAGE_ID_TWICE, f"{self.where} image {key}", detail)
        return [row for row in rows if len(names[_key(row.get("id"))]) == 1]

    def _box(self, row: dict[str, Any], labels: dict[Any, str], where: str) -> Box | Fault:
        label = labels.get(_key(row.get("category_id")))
        if label is None:
            return Fault(faults.LABEL_UNKNOWN, where, f"category_id {row.get('category_id')}")
        corners = _corners(row)
        if corners is None:
            return Fault(faults.BOX_UNREADABLE, where, f"bbox {str(row.get('bbox'))[:60]}")
        area, mask = row.get("area"), row.get("segmentation")
        return Box(
            label, *corners,
            is_crowd=_is_set(row.get("iscrowd")) or _is_set(row.get("ignore")),
            area=float(area) if isinstance(area, int | float) and 0 < area < 1e12 else None,
            mask=mask if isinstance(mask, masks.Mask) else None, keypoints=_keypoints(row.get("keypoints")),
        )  # fmt: skip

    def _image(
        self, image: dict[str, Any], boxes: dict[Any, list[Box]], lost: dict[Any, list[Fault]]
    ) -> Iterator[AnnotatedImage | Fault]:
        said = str(image.get("file_name") or "")
        found = yield from locate(said, self.index, near=self.file.parent, where=self.where, split=self.split)
        if found is None:
            return
        name = self.index.name(found)
        width: Any = image.get("width")
        height: Any = image.get("height")
        if not all(isinstance(side, int | float) and 0 < side < 1e6 for side in (width, height)):
            yield Fault(faults.SIZE_MISSING, name, "taken from the image", FIXED)
            width = height = 0
        key = _key(image.get("id"))
        yield AnnotatedImage(found, name, tuple(boxes[key]), round(width), round(height), lost=tuple(lost[key]))


def _corners(row: dict[str, Any]) -> Corners | None:
    """The annotation's box, or the one around what is drawn instead."""
    try:
        x, y, width, height = (float(value) for value in row.get("around") or row["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return x, y, x + width, y + height


def _is_set(flag: Any) -> bool:
    """Whether a flag is 1, which some tools write as a text."""
    return flag is True or str(flag).strip().lower() in ("1", "1.0", "true")


def _keypoints(said: Any) -> tuple[Point, ...]:
    """`x, y, v, x, y, v ...`; nothing where it is no such list or no point is annotated."""
    if not isinstance(said, list) or len(said) % 3:
        return ()
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in said):
        return ()
    points = zip(said[0::3], said[1::3], said[2::3], strict=True)
    found = tuple((float(x), float(y), min(max(int(seen), 0), 2)) for x, y, seen in points)
    return found if any(seen for _, _, seen in found) else ()


def _keypoint_fault(said: Any, where: str) -> Iterator[Fault]:
    """The fault of keypoints that could not be read; a list of points that are not annotated has none."""
    if not (isinstance(said, list) and len(said) % 3 == 0 and not any(said[2::3])):
        yield Fault(faults.KEYPOINTS_UNREADABLE, where, str(said)[:60], FIXED)


def _key(value: Any) -> str:
    """An id as text: some tools write `"1"` or `1.0` at one place and `1` at another."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _text(value: Any) -> str:
    """One line; JSON can spell half characters (`\\ud800`), which no file can hold."""
    return " ".join(str(value).encode("utf-8", errors="replace").decode().split())


def _rows(content: Any, key: str) -> list[dict[str, Any]]:
    rows = content.get(key) if isinstance(content, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
