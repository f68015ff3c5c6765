"""JSON files of annotation tools, as their readers need them."""

import json
import math
import mmap
import posixpath
from collections.abc import Callable, Generator, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from app import text_files
from app.dataset import faults, splits
from app.dataset.faults import Fault
from app.dataset.image_index import ImageIndex, name_key, walk
from app.dataset.splits import named_in, own_splits

_SAMPLED_OF_FOLDER, _SAMPLED = 5, 200
"""Files that are looked at to recognise a set of a file an image: so many of a folder, so many in all."""
COLLECTIVE_MAX = 50
"""JSON files in a folder above which they are a file for each image."""
SIDE_MAX = 1e6


def holds(path: Path, *keys: str | tuple[str, ...], opening: str = "{") -> bool:
    """Whether a JSON file begins with one of `opening` and has all `keys`, of a tuple one, somewhere; unparsed."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            encoding = "utf-8" if data[:200].count(0) < 50 else "utf-16-le" if data[:2] != b"\xfe\xff" else "utf-16-be"
            start = data[:400].decode(encoding, errors="ignore").lstrip("\ufeff \t\r\n")
            return start.startswith(tuple(opening)) and all(
                any(data.find(f'"{key}"'.encode(encoding)) >= 0 for key in ((some,) if isinstance(some, str) else some))
                for some in keys
            )
    except (OSError, ValueError):  # ValueError: an empty file can't be mapped.
        return False


def files_in(source: Path) -> list[Path]:
    """The JSON files of a set that may be one."""
    return walk(source, {".json"}) if source.is_dir() else [source] if source.suffix.lower() == ".json" else []


def first_fitting(paths: Iterable[Path], fits: Callable[[Path], bool]) -> Path | None:
    """A file that `fits`, out of the first few of each folder."""
    looked: dict[Path, int] = {}
    for path in paths:
        looked[path.parent] = looked.get(path.parent, 0) + 1
        if looked[path.parent] <= _SAMPLED_OF_FOLDER:
            if fits(path):
                return path
            if len(looked) > _SAMPLED:
                return None
    return None


def documents(source: Path, fits: Callable[[Path], bool], more: Iterable[Path] = ()) -> dict[str, list[Path]]:
    """The files of each split that fit, as they or their folders are named; of a folder with a file for each image
    all, if the first few fit. `more`: files of other kinds."""
    folders: dict[Path, list[Path]] = {}
    for path in (*files_in(source), *more):
        folders.setdefault(path.parent, []).append(path)
    found: dict[str, list[Path]] = {}
    for paths in folders.values():
        many = len(paths) > COLLECTIVE_MAX
        fitting = paths if many and first_fitting(paths, fits) else [] if many else filter(fits, paths)
        for path in fitting:
            name = (named_in(path.stem) if source.is_dir() and not many else "") or split_of_folder(path, source)
            found.setdefault(name, []).append(path)
    return own_splits(found)


def split_of_folder(path: Path, source: Path) -> str:
    """The split that the folders of a file name; none in a set of one file."""
    return splits.split_of_folder(path.relative_to(source).parts[:-1]) if source.is_dir() else ""


def by_split(source: Path, paths: Iterable[Path]) -> dict[str, list[Path]]:
    """The files of each split, as their folders name it; `""`: none."""
    return splits.by_split(paths, lambda path: split_of_folder(path, source))


def content(path: Path) -> Any:
    """What a JSON file holds. Raises ValueError with one line."""
    try:
        return json.loads(text_files.decode(path.read_bytes()).removeprefix("\ufeff"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(getattr(error, "strerror", None) or " ".join(str(error).split())[:120]) from None


def load(path: Path, where: str) -> Generator[Fault, None, Any]:
    """What a JSON file, called `where`, holds; None, and the fault of it, where it can't be read."""
    try:
        return content(path)
    except ValueError as error:
        yield Fault(faults.ANNOTATION_UNREADABLE, where, str(error))
        return None


def rows(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """A name in one line, empty for what is none; JSON can spell half characters, which no file can hold."""
    if value is None or isinstance(value, bool | dict | list):
        return ""
    return " ".join(str(value).encode("utf-8", errors="replace").decode().split())


def number(value: Any) -> float:
    """A finite number, which some tools write as text. Raises ValueError."""
    try:
        found = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{str(value)[:20]!r} where a number belongs")
    return found


def numbers(row: Any, *keys: str) -> list[float]:
    """The numbers under these keys. Raises ValueError."""
    if not isinstance(row, dict):
        raise ValueError(f"{str(row)[:20]!r} where {', '.join(keys)} belong")
    return [number(row.get(key)) for key in keys]


def points(value: Any) -> list[tuple[float, float]]:
    """Points [[x, y], ...]. Raises ValueError."""
    if not isinstance(value, list) or not all(isinstance(point, list) and len(point) == 2 for point in value):
        raise ValueError("no list of points")
    return [(number(x), number(y)) for x, y in value]


def size(width: Any, height: Any) -> tuple[int, int]:
    """A stated size in pixels; 0, 0 where it is none."""
    try:
        sides = number(width), number(height)
    except ValueError:
        return 0, 0
    return (round(sides[0]), round(sides[1])) if all(1 <= side < SIDE_MAX for side in sides) else (0, 0)


def is_set(value: Any) -> bool:
    """Whether a flag is on, which some tools write as text."""
    return value is True or str(value).strip().lower() in ("1", "true")


def find_by_stem(path: Path, said: str, index: ImageIndex, split: str) -> Path | None:
    """The image of an annotation file of its own: of the file's stem, else the one that it calls `said`.

    Where both name the same, the path that `said` is relative to the file tells several apart. Raises AmbiguousImage.
    """
    inside = posixpath.normpath(PurePosixPath(index.name(path)).parent.joinpath(said.replace("\\", "/")))
    if said and name_key(PurePosixPath(inside).stem) == name_key(path.stem):
        return index.find(inside, near=path.parent, split=split)
    found = index.find(path.stem, near=path.parent, split=split)
    return index.find(inside, near=path.parent, split=split) if found is None and said else found
