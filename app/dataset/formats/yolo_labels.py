"""Which text file holds the boxes of an image in a YOLO set."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from app.dataset.image_index import name_key


class LabelFiles:
    """The text files of a set, found by their images: in `labels` in place of `images`, else beside them.

    Names are compared as `name_key` does; of several such the one of the same letters is taken.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[Path]]] = {}
        self._parallel: dict[Path, tuple[Path, ...]] = {}
        self._used: set[Path] = set()

    def find(self, image: Path) -> Path | None:
        """The image's text file, or None where there is none."""
        for folder in self._places(image.parent):
            files = self._in(folder).get(name_key(image.stem), [])
            if files:
                found = next((path for path in files if path.stem == image.stem), files[0])
                self._used.add(found)
                return found
        return None

    def without_image(self, images: Iterable[Path]) -> Iterator[Path]:
        """The text files of the folders looked into so far that belong to none of the whole set's `images`."""
        folders = list(self._folders.values())
        for image in images:
            self.find(image)
        for paths in (paths for files in folders for paths in files.values()):
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


def _in_labels(folder: Path) -> Iterator[Path]:
    """The folders like this one with `labels` in place of the last `images` of its path, in whatever letters."""
    parts = folder.parts
    at = next((i for i in range(len(parts) - 1, 0, -1) if parts[i].casefold() == "images"), 0)
    above = Path(*parts[:at]) if at else None
    if above is not None and above.is_dir():
        for beside in sorted(above.iterdir(), key=lambda path: (path.name != "labels", path.name)):
            if beside.name.casefold() == "labels":
                yield beside.joinpath(*parts[at + 1 :])
