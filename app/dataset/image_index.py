"""Which image file an annotation means."""

import contextlib
import html
import itertools
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from app import text_files
from app.dataset import data_links
from app.errors import DatasetError
from app.raster_image import image_suffixes, is_image

_LEFT_OUT = (".", "__MACOSX", "Segmentation", "trimaps", "lost+found", "$RECYCLE.BIN", "System Volume Information")
"""How the names of folders begin that hold no part of a set: systems' own, VOC's and the pets' segmentation masks."""


def walk(root: Path, suffixes: set[str] | None = None) -> list[Path]:
    """Files under `root`, sorted; without hidden ones, archives' leftovers, segmentation masks and links to nowhere.

    Links to folders are followed, each folder once, as far as `data_links` has it. Raises DatasetError for a folder
    that can't be opened: what is in it would be missing without a word.
    """
    found, seen, waiting = [], set(), [os.fspath(root)]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            with os.scandir(folder) as entries:
                shown = sorted((e for e in entries if _is_shown(e)), key=lambda entry: entry.name)
        except OSError as error:
            raise _refusal(error) from error
        seen.add((status.st_dev, status.st_ino))
        # Neither pipes and sockets, which would be waited on for ever, nor links to what is gone.
        found += [
            Path(entry.path)
            for entry in shown
            if (suffixes is None or os.path.splitext(entry.name)[1].lower() in suffixes) and _is(entry.is_file)
        ]
        waiting += [e.path for e in reversed(shown) if not e.name.startswith(_LEFT_OUT) and _is(e.is_dir)]
    return found


def _is_shown(entry: "os.DirEntry[str]") -> bool:
    return not entry.name.startswith(".") and (not entry.is_symlink() or data_links.is_allowed(entry.path))


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # A link to itself.
        return False


def _refusal(error: OSError) -> DatasetError:
    what = f"folder can't be read: {error.strerror}"
    return DatasetError(what, where=str(error.filename), remedy="permit it, or move it away")


def root_of(source: Path) -> Path:
    """The folder of a set that may be one file."""
    return source if source.is_dir() else source.parent


def images_in(root: Path) -> list[Path]:
    """The images under `root`, as `walk` gives them."""
    return [path for path in walk(root) if is_image(path)]


def name_key(name: str) -> str:
    """What two spellings of one file name have in common: whatever the case, the Unicode form and the kind of blanks.

    macOS writes letters decomposed (NFD), tools turn separators such as U+0085 and U+2028 into blanks.
    """
    if name.isascii():
        return " ".join(name.casefold().split())
    try:
        name.encode()
    except UnicodeEncodeError:  # A name from a system of another encoding, as Python carries its bytes.
        name = text_files.decode(os.fsencode(name))
    shown = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", shown.casefold()).split())


def _spellings(said: str) -> Iterator[str]:
    """What an annotation's name of a file may mean, the likeliest first: as it is, or as tools for the web write it."""
    plain = said.strip()
    found = [said]
    if "?" in plain or "://" in plain:
        with contextlib.suppress(ValueError):  # No address: `http://[`.
            parts = urlsplit(plain)
            found += parse_qs(parts.query).get("d", [])  # Label Studio: /data/local-files/?d=folder/name.jpg
            found += [parts.path, unquote(parts.path)]
    if "%" in plain:
        found += [unquote(plain), unquote(unquote(plain))]
    if "&" in plain and ";" in plain:
        found.append(html.unescape(plain))
    if "+" in plain:
        found.append(unquote(plain.replace("+", " ")))
    yield from found
    for one in found:
        if uploaded := _UPLOADED.fullmatch(one.replace("\\", "/").rsplit("/", 1)[-1]):
            yield uploaded[1]


_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
"""Label Studio puts eight digits before the name of a file that is uploaded."""


def name_in(root: Path, path: Path) -> str:
    """The path within the folder `root`, with `/`; bytes that are no UTF-8 become U+FFFD, as no JSON can hold them."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", errors="replace")


class PathIndex:
    """Paths by their names, whatever their letters: what a list of another system calls them."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, Path]] = {}

    def find(self, folder: Path, *parts: str) -> Path | None:
        """`folder/part/...`, exactly so, else the one of the same `name_key`s; None where there is none."""
        path = folder.joinpath(*parts)
        if path.exists():
            return path if data_links.is_allowed(str(path)) else None
        for part in parts:
            if folder not in self._folders:
                inside = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else []
                self._folders[folder] = {name_key(path.name): path for path in inside}
            found = self._folders[folder].get(name_key(part))
            if found is None:
                return None
            folder = found
        return folder if data_links.is_allowed(str(folder)) else None


class AmbiguousImage(Exception):
    """Several files fit equally well; `args` are their names."""


class ImageIndex:
    """The image files under a folder, by name. `images`: those, where the caller has them already."""

    def __init__(self, root: Path, images: list[Path] | None = None):
        self.root = root
        self.by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in images_in(root) if images is None else images:
            self.by_stem[name_key(path.stem)].append(path)

    def name(self, path: Path) -> str:
        """The path within the data set."""
        return name_in(self.root, path)

    def find(self, said: str, *, near: Path, split: str = "") -> Path | None:
        """The image that an annotation in the folder `near` calls `said`: a name, a path or an address.

        Case, Unicode form and kind of blanks do not matter, unless they tell several files apart. Among files of one
        stem the best is, in this order: the one whose path ends as said, of the same file name, below a folder named
        like `split`, in folders named like those above `near`, nearest to `near`.
        Raises AmbiguousImage where that leaves several.
        """
        for spelling in dict.fromkeys(_spellings(said)):
            if found := self._find(spelling, near, split):
                return found
        return None

    def _find(self, said: str, near: Path, split: str) -> Path | None:
        wanted = PurePosixPath(said.replace("\\", "/"))
        # `a.jpg` means a.jpg or a.png before a.jpg.jpg; `v1.2` means v1.2.jpg before v1.jpg.
        named = name_key(wanted.suffix) in image_suffixes()
        stems = [wanted.stem, wanted.name] if named else [wanted.name, wanted.stem]
        tried = (self.by_stem.get(name_key(stem)) for stem in (*stems, said) if stem)
        candidates = next(filter(None, tried), [])
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        scores = [self._score(path, wanted, near, split) for path in candidates]
        best = max(scores)
        if scores.count(best) > 1:
            raise AmbiguousImage(*(self.name(p) for p, s in zip(candidates, scores, strict=True) if s == best))
        return candidates[scores.index(best)]

    def _score(self, path: Path, wanted: PurePosixPath, near: Path, split: str) -> tuple[Any, ...]:
        tail = wanted.parts if not wanted.is_absolute() else wanted.parts[1:]
        parts = path.relative_to(self.root).parts
        common = os.path.commonpath([path.parent, near]) if near.is_absolute() == path.is_absolute() else ""
        pairs = zip(reversed(path.parent.parts), reversed(near.parts), strict=False)
        ending = parts[-len(tail) :]
        return (
            len(tail) > 1 and (ending == tail or [*map(name_key, ending)] == [*map(name_key, tail)]),
            path.name == wanted.name,
            name_key(path.name) == name_key(wanted.name),
            path.stem in (wanted.name, wanted.stem),
            bool(split) and split in parts[:-1],
            sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)),
            len(Path(common).parts),
            -len(parts),
        )
