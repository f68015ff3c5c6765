"""YOLO's data.yaml: every value as it is written, every fault with its line.

YAML itself would make True of a class called `on`, and 8 of one called `010`.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from app import text_files
from app.dataset import faults
from app.dataset.code_page import guess_refused, read_lines, read_text
from app.dataset.faults import FIXED, KEPT, Fault
from app.errors import DatasetError
from app.protos.label_map import ENCODING

SPLIT_KEYS = ("train", "val", "valid", "test")
_KEYS = (*SPLIT_KEYS, "names", "nc", "path", "kpt_shape")
_LOOK = re.compile(r"^\s*[\"']?names[\"']?\s*[:=]", re.MULTILINE)
_LOOK_TOO = re.compile(rf"^\s*[\"']?({'|'.join((*SPLIT_KEYS, 'nc'))})[\"']?\s*[:=]", re.MULTILINE)
_NO_BLANK = re.compile(rf"^\s*[\"']?({'|'.join(_KEYS)})[\"']?:(?=[^\s])")
_NULL = ("", "~", "null", "Null", "NULL")
_LONGEST, _PAIRS, _DEPTH = 1 << 20, 10_000, 50
"""Bytes of a file, entries of a table and brackets in brackets, beyond which it is none that a person wrote."""
REMEDY = "write names: [cat, dog], a blank after each colon, no tabs"


@dataclass(frozen=True)
class DataYaml:
    """What a data.yaml says: texts, lists of texts, for `names` also a table by number; and the lines of its keys."""

    path: Path
    values: dict[str, str | list[str] | dict[str, str]]
    lines: dict[str, int]
    encoding: str = ""

    def texts(self, key: str) -> list[str]:
        """The text or texts of a key; none where it is not there."""
        value = self.values.get(key, [])
        return [value] if isinstance(value, str) else list(value)

    def names(self, find: Callable[[str], Path]) -> dict[int, str]:
        """Class names by number, from 0; `find` gives the file of names that may stand there. Raises DatasetError."""
        said = self.values.get("names", [])
        if isinstance(said, dict):
            return dict(sorted((int(number), name) for number, name in said.items() if name))
        if isinstance(said, str) and "\n" not in said:
            file = find(said)
            if not file.is_file():
                raise self.refusal(f"names is {said[:60]!r}, neither a list nor a file that is there", "names")
            said = "\n".join(read_lines(file, file.name)[0])
        found = said.split("\n") if isinstance(said, str) else said
        return {number: text for number, name in enumerate(found) if (text := " ".join(name.split()))}

    def remarks(self, names: dict[int, str]) -> Iterator[Fault]:
        """What is amiss with its `names`, and still can be read."""
        yield from _twice(names, self._where("names"))
        said = "".join(self.texts("nc"))
        if said and said not in (str(len(names)), str(max(names, default=-1) + 1)):
            yield Fault(faults.LABEL_COUNT, self._where("nc"), f"nc is {said}, names has {len(names)}", KEPT)
        if self.encoding:
            yield Fault(ENCODING, self.path.name, f"read as {self.encoding}", FIXED)

    def _where(self, key: str) -> str:
        return f"{self.path.name} line {self.lines[key]}"

    def refusal(self, what: str, key: str) -> DatasetError:
        """The error that cites the line of `key`."""
        return _refusal(what, self.path, self.lines.get(key, 1))


def name_list(path: Path) -> tuple[dict[int, str], list[Fault]]:
    """The names of a text file, a class a line, by number from 0, and what is amiss. Raises DatasetError."""
    text, found = read_text(path, path.name)
    lines = [" ".join(line.split()) for line in text_files.split_lines(text.rstrip())]
    if "" in lines:
        line = lines.index("") + 1
        raise _refusal("an empty line within the names: do those after it count it?", path, line, "take it out")
    names = dict(enumerate(lines))
    return names, [*found, *_twice(names, path.name)]


def _twice(names: dict[int, str], where: str) -> Iterator[Fault]:
    numbers: dict[str, list[str]] = {}
    for number, name in names.items():
        numbers.setdefault(name, []).append(str(number))
    for name, some in numbers.items():
        if len(some) > 1:
            yield Fault(faults.LABEL_TWICE, where, f"{name}, numbers {', '.join(some)}", FIXED)


def is_data_yaml(path: Path) -> bool:
    """Whether a file is meant for one, though it may have faults."""
    try:
        return read(path) is not None
    except DatasetError:
        return True


def read(path: Path) -> DataYaml | None:
    """What a data.yaml says; None for another file. Raises DatasetError with the line for one that can't be read."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        return None
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size) if status.st_size < _LONGEST else None


@functools.lru_cache(maxsize=8)
def _read(path: Path, changed: int, size: int) -> DataYaml | None:
    decoded = text_files.find_encoding(path.read_bytes())
    text = decoded.text
    is_meant = bool(_LOOK.search(text) and _LOOK_TOO.search(text))
    try:
        pairs = list(_pairs(_compose(text, path), path))
        values, lines = _values(pairs, path)
    except DatasetError:
        if is_meant:
            raise
        return None
    if "names" not in values or not any(key in lines for key in (*SPLIT_KEYS, "nc")):
        if is_meant:
            raise _not_parsed(text, path, "it is no table with names in it", 1)
        return None
    if not decoded.is_sure:
        raise guess_refused(path, lines["names"], decoded)
    return DataYaml(path, values, lines, decoded.encoding)


def _compose(text: str, path: Path) -> yaml.Node | None:
    steps = itertools.accumulate({"[": 1, "{": 1, "]": -1, "}": -1}.get(letter, 0) for letter in text)
    if max(steps, default=0) > _DEPTH:  # The library takes their square in time.
        raise _refusal("YAML with too many brackets in brackets", path, 1)
    try:
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, (error.context, error.problem)))
        raise _not_parsed(text, path, what, mark.line + 1 if mark else 1) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _not_parsed(text, path, f"a character that YAML does not allow: {error.character!r}", line) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _not_parsed(text, path, type(error).__name__, 1) from None


def _not_parsed(text: str, path: Path, what: str, line: int) -> DatasetError:
    for number, said in enumerate(text_files.split_lines(text), start=1):
        if match := _NO_BLANK.match(said):
            return _refusal(f"YAML wants a blank after {match[1]}:", path, number)
    return _refusal(f"YAML does not parse: {what}", path, line)


def _refusal(what: str, path: Path, line: int, remedy: str = REMEDY) -> DatasetError:
    return DatasetError(what, where=f"{path} line {line}", remedy=remedy)


Pair = tuple[yaml.ScalarNode, yaml.Node]


def _pairs(node: yaml.Node | None, path: Path) -> Iterator[Pair]:
    """The entries of a table, then those of the tables that it takes in by `<<`."""
    waiting, count = [node], 0
    while waiting:
        table = waiting.pop(0)
        for key, value in table.value if isinstance(table, yaml.MappingNode) else ():
            count += 1
            if count > _PAIRS or len(waiting) > _PAIRS:
                raise _refusal(f"YAML with more than {_PAIRS} entries", path, _line(key))
            if isinstance(key, yaml.ScalarNode) and key.value == "<<":
                waiting += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif isinstance(key, yaml.ScalarNode):
                yield key, value


def _values(pairs: list[Pair], path: Path) -> tuple[dict[str, str | list[str] | dict[str, str]], dict[str, int]]:
    values: dict[str, str | list[str] | dict[str, str]] = {}
    lines: dict[str, int] = {}
    tables: dict[str, yaml.Node] = {}
    for key, value in pairs:
        name = key.value.strip()
        if name not in _KEYS:
            continue
        if name in lines:
            if _line(key) > lines[name] and tables[name] is not value:
                raise _refusal(f"{name} is there twice, in line {lines[name]} too", path, _line(key))
            continue
        lines[name], tables[name] = _line(key), value
        if name == "names":
            values[name] = _names(value, path)
        elif isinstance(value, yaml.SequenceNode):
            values[name] = [_text(one, path) for one in value.value]
        elif isinstance(value, yaml.ScalarNode) and (value.style or value.value not in _NULL):
            values[name] = value.value
    return values, lines


def _names(node: yaml.Node, path: Path) -> str | list[str] | dict[str, str]:
    if isinstance(node, yaml.SequenceNode) and node.value:
        return [_text(one, path) for one in node.value]
    if isinstance(node, yaml.MappingNode) and node.value:
        found: dict[str, str] = {}
        for key, value in node.value:
            number, name = _text(key, path).strip(), " ".join(_text(value, path).split())
            if not (number.isdecimal() and len(number) < 9):
                raise _refusal(f"class number {number[:30]!r} in names is none, such as 0: cat", path, _line(key))
            if found.setdefault(str(int(number)), name) != name:
                raise _refusal(f"class number {number} is there twice in names", path, _line(key))
        return found
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    if not text.strip() or (isinstance(node, yaml.ScalarNode) and not node.style and text in _NULL):
        raise _refusal("names is empty", path, _line(node))
    return text.strip()


def _text(node: yaml.Node, path: Path) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _refusal("a list or a table where a text belongs", path, _line(node))
    return str(node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
