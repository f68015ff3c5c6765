"""Which picture file an annotation means."""

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def walk(root: Path, suffixes: set[str] | None = None) -> list[Path]:
    """Files under `root`, sorted; without hidden ones, archives' leftovers, VOC's and the pets' segmentation masks.

    Links to folders are followed, each folder once: large sets are often linked together.
    """
    found = []
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX", "Segmentation", "trimaps")))
        found += [
            Path(folder, file)
            for file in sorted(files)
            if not file.startswith(".") and (suffixes is None or os.path.splitext(file)[1].lower() in suffixes)
        ]
    return found


class AmbiguousPicture(Exception):
    """Several files fit equally well; `args` are their names."""


class Catalogue:
    """The picture files under a folder, by name."""

    def __init__(self, root: Path):
        self.root = root
        self.by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in walk(root, SUFFIXES):
            self.by_stem[path.stem.casefold()].append(path)

    def name(self, path: Path) -> str:
        """The path within the data set, with `/`; bytes that are no UTF-8 become U+FFFD."""
        return os.fsencode(path.relative_to(self.root).as_posix()).decode("utf-8", errors="replace")

    def find(self, said: str, *, near: Path, split: str = "") -> Path | None:
        """The picture that an annotation in the folder `near` calls `said`: a name or a path.

        Among files of one stem the best is, in this order: the one whose path ends as said, of the same file
        name, below a folder named like `split`, nearest to `near`. Raises AmbiguousPicture where that leaves
        several.
        """
        wanted = PurePosixPath(said.replace("\\", "/"))
        candidates = self.by_stem.get(wanted.stem.casefold(), [])
        if wanted.suffix.lower() not in SUFFIXES:
            candidates = self.by_stem.get(wanted.name.casefold(), []) or candidates
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        scores = [self._score(path, wanted, near, split) for path in candidates]
        best = max(scores)
        if scores.count(best) > 1:
            raise AmbiguousPicture(*(self.name(p) for p, s in zip(candidates, scores, strict=True) if s == best))
        return candidates[scores.index(best)]

    def _score(self, path: Path, wanted: PurePosixPath, near: Path, split: str) -> tuple:
        tail = wanted.parts if not wanted.is_absolute() else wanted.parts[1:]
        parts = path.relative_to(self.root).parts
        common = os.path.commonpath([path.parent, near]) if near.is_absolute() == path.is_absolute() else ""
        return (
            len(tail) > 1 and parts[-len(tail) :] == tail,
            path.name == wanted.name,
            bool(split) and split in parts[:-1],
            len(Path(common).parts),
            -len(parts),
        )
