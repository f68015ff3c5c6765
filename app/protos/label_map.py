"""Label maps: proto text of upstream's `StringIntLabelMap`, of the run itself and of others."""

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from google.protobuf import text_encoding

from app import text_files
from app.errors import SettingsError
from app.protos.label_map_text import REMEDY, Item, LabelMapError, Remark, parse
from app.protos.proto_text import REMEDY_OF_RUN, parse_proto, read_proto_text

ENCODING = "text file in another encoding than UTF-8"
ID_BELOW_1 = "class id below 1"
ID_TWICE = "class id given to several classes"
NAME_TWICE = "class declared twice"
NAMELESS = "class without a name"
GAPS = "class ids with gaps"
BACKGROUND = frozenset({"background", "__background__", "_background_", "bg", "none", "none_of_the_above", "???"})
"""What names of id 0 stand for no class."""
_LOOK = re.compile(r"^\s*[\[{]|\bitems?[\"']?\s*[:=]?\s*[{<\[]", re.IGNORECASE)
"""What a label map has and another file of that ending has not: a graph may be of a hundred megabytes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelMap:
    """`items` are the classes in order, without the background. `remarks`: all that is amiss, repaired or to be."""

    items: tuple[Item, ...]
    remarks: tuple[Remark, ...]

    @property
    def names(self) -> dict[int, str]:
        """Class ids to names, ascending; of an id that is there twice the first."""
        named = [item for item in self.items if item.number is not None and item.name]
        named.sort(key=lambda item: cast(int, item.number))
        found: dict[int, str] = {}
        for item in named:
            found.setdefault(cast(int, item.number), item.name)
        return found

    @property
    def doubtful(self) -> dict[int, Remark]:
        """The ids that a number alone does not stand for: below 1, which upstream loses, or there twice."""
        found = {}
        for item in self.items:
            for remark in self.remarks:
                if remark.line == item.line and remark.kind in (ID_BELOW_1, ID_TWICE) and item.number is not None:
                    found[item.number] = remark
        return found


def read_label_map(path: Path) -> dict[int, str]:
    """The run's own map, as `parse_label_map` gives it. Raises SettingsError also where it can't be read."""
    return parse_label_map(read_proto_text(path, remedy=REMEDY_OF_RUN), where=str(path))


def parse_label_map(text: str, *, where: str) -> dict[int, str]:
    """Class ids (1 and up) to names, in the file's order; of the run's own map, which upstream reads as well.

    Raises SettingsError with the line for all that upstream does not read, or reads as something else.
    """
    from object_detection.protos import string_int_label_map_pb2

    parse_proto(text, string_int_label_map_pb2.StringIntLabelMap(), where=where, remedy=REMEDY)
    try:
        items, remarks = parse(text)
        remarks += [Remark(NAMELESS, item.line, f"item with id {item.number}") for item in items if not item.name]
        found = _check(items, remarks)
    except LabelMapError as error:
        raise _refusal(error, where) from None
    fault = next((remark for remark in found.remarks if remark.kind != GAPS), None)
    if fault:
        what = f"{fault.kind}: {fault.detail}" if fault.detail else fault.kind
        raise SettingsError(what, where=f"{where}:{fault.line}", remedy=REMEDY)
    return {cast(int, item.number): item.name for item in found.items}


def read_class_names(path: Path) -> dict[int, str]:
    """Class ids to the names that people read, of any label map: `display_name` before `name`.

    Nothing is trained by it, so gaps and an id of 0 are no fault; of an id that is there twice the first is taken, and
    that is logged, as is what was repaired. Raises SettingsError with the line if it can't be read as one, OSError.
    """
    try:
        data = path.read_bytes()
        found = decode_label_map(data, as_written=True)
    except LabelMapError as error:
        raise _refusal(error, str(path)) from None
    if data.strip() and not found.items:
        raise SettingsError("has no item of a label map", where=str(path), remedy=REMEDY)
    kinds: dict[str, list[Remark]] = {}
    for remark in found.remarks:
        if remark.kind not in (GAPS, ID_BELOW_1, NAMELESS, NAME_TWICE):
            kinds.setdefault(remark.kind, []).append(remark)
    for kind, some in kinds.items():
        first = f"{path}:{some[0].line}: {some[0].detail}"
        logger.warning("%d x %s, e.g. %s", len(some), kind, first)
    names: dict[int, str] = {}
    for item in found.items:
        if item.number is not None:
            names.setdefault(item.number, item.display_name or item.name or f"class {item.number}")
    return names


def decode_label_map(data: bytes, known: Collection[str] = (), *, as_written: bool = False) -> LabelMap:
    """A label map of anyone's, whatever its encoding; no items where it is something else, such as a config.

    `known`: names that may be in it. `as_written`: with the background, and blanks of names as they are.
    Raises LabelMapError where it is one that can't be read with certainty.
    """
    decoded = text_files.find_encoding(data, known)
    if not _LOOK.search(decoded.text):
        return LabelMap((), ())
    items, remarks = parse(decoded.text)
    if not as_written:
        items = [replace(item, name=_one_line(item.name), display_name=_one_line(item.display_name)) for item in items]
    if items and decoded.encoding:
        line = next((item.line for item in items if not (item.name + item.display_name).isascii()), 0)
        if not decoded.is_sure and line:
            raise LabelMapError(
                f"it is no UTF-8, and its encoding can't be told ({decoded.encoding}?)", line, "save it as UTF-8"
            )
        if line:
            remarks.append(Remark(ENCODING, line, f"read as {decoded.encoding}"))
    return _check(items, remarks, as_written)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _check(items: list[Item], remarks: list[Remark], keep_background: bool = False) -> LabelMap:
    kept, numbers, names = [], dict[int, Item](), dict[str, Item]()
    for read in items:
        item = Item(read.number, read.name or read.display_name, read.display_name, read.line)
        if item.number == 0 and item.name.lower() in BACKGROUND and not keep_background:
            continue
        earlier = numbers.get(item.number) if item.number is not None else None
        if item.number is None:
            raise LabelMapError(f"item {item.name} has no id", item.line)
        if item.number < 1:
            remarks.append(Remark(ID_BELOW_1, item.line, f"item with id {item.number}, {item.name}"))
        if not item.name:
            remarks.append(Remark(NAMELESS, item.line, f"item with id {item.number} has no name"))
        if earlier and earlier.name == item.name:
            remarks.append(Remark(NAME_TWICE, item.line, f"{item.name}, with the same id {item.number}"))
            continue
        if earlier:
            for one in (earlier, item):
                other = item if one is earlier else earlier
                what = f"{one.number} is {one.name} here, {other.name} in line {other.line}"
                remarks.append(Remark(ID_TWICE, one.line, what))
        elif item.name and item.name in names:
            twice = f"{item.name}, with ids {names[item.name].number} and {item.number}"
            remarks.append(Remark(NAME_TWICE, item.line, twice))
        numbers.setdefault(item.number, item)
        names.setdefault(item.name, item)
        kept.append(item)
    missing = sorted(set(range(1, min(max(numbers, default=0), 100_000))) - set(numbers))
    if missing:
        such = ", ".join(map(str, missing[:3]))
        remarks.append(Remark(GAPS, 0, f"none of id {such}{' ...' if len(missing) > 3 else ''}"))
    return LabelMap(tuple(kept), tuple(remarks))


def _refusal(error: LabelMapError, where: str) -> SettingsError:
    place = f"{where}:{error.line}" if error.line else where
    return SettingsError(f"does not parse: {error}", where=place, remedy=error.remedy)


def print_label_map(names: Mapping[int, str]) -> str:
    """The proto text of a label map: `names` maps class ids (1 and up) to names."""
    # CEscape's stub wants bytes; it takes str as well, and then keeps letters of all scripts as they are.
    escaped = {number: text_encoding.CEscape(cast(Any, names[number]), as_utf8=True) for number in sorted(names)}
    return "".join(f'item {{\n  id: {number}\n  name: "{name}"\n}}\n' for number, name in escaped.items())
