"""Which text file holds the boxes of an image in a YOLO set."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from app.dataset.image_index import AmbiguousImage, ImageIndex, name_key, walk


class LabelFiles:
    """The text files of the set in `root`, found by its `images`: in `labels` in place of `images`, else beside them.

    Where no image of the set has one there, in any folder: of the image's name, and of no other's. `is_label` tells
    what may be one. Names are compared as `name_key` does; of several such the one of the same letters is taken.
    """

    def __init__(self, root: Path, images: Sequence[Path], is_label: Callable[[Path], bool]) -> None:
        self._root, self._images, self._is_label = root, images, is_label
        self._folders: dict[Path, dict[str, list[Path]]] = {}
        self._parallel: dict[Path, tuple[Path, ...]] = {}
        self._used: set[Path] = set()

    def find(self, image: Path) -> Path | None:
        """The image's text file, or None where there is none."""
        found = self._usual(image) or self._elsewhere.get(image)
        if found:
            self._used.add(found)
            self._in(found.parent)
        return found

    def _usual(self, image: Path) -> Path | None:
        for folder in self._places(image.parent):
            inside = self._in(folder)
            # Some tools write a.jpg.txt.
            for name in (image.stem, image.name):
                if files := inside.get(name_key(name), []):
                    return next((path for path in files if path.stem == name), files[0])
        return None

    @functools.cached_property
    def _elsewhere(self) -> dict[Path, Path]:
        """The text files, by image, where YOLO does not look; beside those it finds, others are predictions."""
        left = [] if any(map(self._usual, self._images)) else walk(self._root, {".txt"})
        index, found = ImageIndex(self._root, list(filter(self._is_label, left))), dict[Path, Path]()
        for image in self._images if left else ():
            if path := _nearest(index, image):
                found[image] = path
        claims = Counter(found.values())
        return {image: path for image, path in found.items() if claims[path] == 1}

    def folders(self) -> list[Path]:
        """The folders looked into so far."""
        return list(self._folders)

    def without_image(self, folders: Iterable[Path]) -> Iterator[Path]:
        """The text files of these folders that were found for no image, once all of the set's were asked for."""
        for paths in (paths for folder in folders for paths in self._folders[folder].values()):
            yield from (path for path in paths if path not in self._used)

    def _places(self, folder: Path) -> tuple[Path, ...]:
        if folder not in self._parallel:
            self._parallel[folder] = (*_in_labels(folder), folder)
        return self._parallel[folder]

    def _in(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._folders:
            found: dict[str, list[Path]] = {}
            texts = [p for p in folder.iterdir() if p.suffix.lower() == ".txt"] if folder.is_dir() else []
            for path in sorted(p for p in texts if not p.name.startswith(".") and p.is_file()):
                found.setdefault(name_key(path.stem), []).append(path)
            self._folders[folder] = found
        return self._folders[folder]


def _nearest(index: ImageIndex, image: Path) -> Path | None:
    try:
        return index.find(image.name, near=image.parent)
    except AmbiguousImage:
        return None


def _in_labels(folder: Path) -> Iterator[Path]:
    """The folders like this one with `labels` in place of the last `images` of its path, in whatever letters."""
    parts = folder.parts
    at = next((i for i in range(len(parts) - 1, 0, -1) if parts[i].casefold() == "images"), 0)
    above = Path(*parts[:at]) if at else None
    if above is not None and above.is_dir():
        for beside in sorted(above.iterdir(), key=lambda path: (path.name != "labels", path.name)):
            if beside.name.casefold() == "labels":
                yield beside.joinpath(*parts[at + 1 :])
