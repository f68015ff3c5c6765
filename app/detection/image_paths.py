"""The images and videos that files, folders and globs name."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.raster_image import VIDEOS, is_image

NOT_FROM_FOLDERS = ".ts"
"""A video's suffix that is mostly TypeScript's; named as a file it is a video."""
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class ImageFile:
    """A file to work on; `name` tells it from all others: its path below the folder that all of them share."""

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        return _is_video(self.path.name)


@dataclass(frozen=True)
class Skipped:
    """What was given and not worked on, with the reason."""

    file: str
    reason: str


def find_images(words: Sequence[str], *, leave_out: Path) -> tuple[list[ImageFile], list[Skipped]]:
    """The images and videos that `words` name, each once, in the order of the words and sorted within each.

    A word is a file, a folder (searched with all that is below it, without hidden names) or a glob. What has neither
    an image's nor a video's extension is passed over in a folder and tried where it is named itself. A folder
    `leave_out`, where the results go, is not searched.
    """
    found: dict[Path, None] = {}
    skipped = []
    for word in words:
        paths = list(_expand(word))
        if not paths:
            skipped.append(Skipped(word, "there is no such file"))
        for path in paths:
            if path.is_dir():
                found.update(dict.fromkeys(_in_folder(path, _absolute(leave_out))))
            else:
                found[_absolute(path)] = None
    return [ImageFile(path, name) for path, name in zip(found, _names(list(found)), strict=True)], skipped


def drawn_names(names: Iterable[str]) -> list[str]:
    """For each name the path, relative and with `/`, that its drawn JPEG or MP4 can have beside all others."""
    taken: set[str] = set()
    result = []
    for name in names:
        path = PurePosixPath(name)
        suffix, plain = (".mp4", {".mp4"}) if _is_video(name) else (".jpg", {".jpg", ".jpeg"})
        is_plain = path.suffix.lower() in plain
        # What a file system that ignores case holds apart.
        wanted = path.with_suffix(suffix) if is_plain else path.with_name(f"{path.name}{suffix}")
        free, number = wanted, 1
        while str(free).casefold() in taken:
            number += 1
            free = wanted.with_name(f"{wanted.stem}-{number}{suffix}")
        taken.add(str(free).casefold())
        result.append(str(free))
    return result


def _expand(word: str) -> Iterator[Path]:
    """A file or folder of exactly that name, though it has brackets in it, else what the glob matches."""
    path = Path(word).expanduser()
    if path.exists():
        yield path
    elif glob.has_magic(word):
        yield from map(Path, sorted(glob.glob(str(path), recursive=True)))


def _in_folder(folder: Path, leave_out: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(_absolute(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(root, name) != leave_out)
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and (_is_wanted_video(name) or is_image(path)):
                yield path


def _is_video(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in VIDEOS


def _is_wanted_video(name: str) -> bool:
    return _is_video(name) and not name.lower().endswith(NOT_FROM_FOLDERS)


def _names(paths: Sequence[Path]) -> list[str]:
    if not paths:
        return []
    shared = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(shared).as_posix() for path in paths]


def _absolute(path: Path) -> Path:
    """Without `..` and with links as they are: two links to one file are two images."""
    return Path(os.path.abspath(path))
