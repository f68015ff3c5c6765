"""Images that are there twice: byte for byte, or the same to the eye.

Near-duplicates are found by a difference hash (dHash, hackerfactor.com/blog/?/archives/529-Kind-of-Like-That.html) of
64 bits and confirmed on the miniatures, because images of one kind (blood smears, say) have hashes alike.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.dataset.image_file import MINIATURE
from app.inspection.dataset_view import ImageSummary, superset_splits

BITS_MAX = 8
"""Bits of 64 by which the hashes of near-duplicates differ at most; strangers differ by about 32."""
CORRELATION_MIN = 0.985
"""Of the miniatures' pixels. Re-encoded, resized and brightened copies stay above it."""
FLAT = 3.0
"""Standard deviation in grey levels below which a miniature has no features to compare."""
PAIRS_MAX = 100_000
"""Pairs named at most: a film's images are all alike."""
_BLOCK, _CHECKED = 1 << 24, 4096
"""Pairs of hashes, and of miniatures, compared at a time: 64 and 10 MB."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two images that are the same. `leak`: they are in splits that share nothing else, so one tells of the other."""

    a: str
    b: str
    a_splits: tuple[str, ...]
    b_splits: tuple[str, ...]
    identical: bool
    leak: bool


@dataclass
class DuplicateFinder:
    """Grows look by look, by about 400 bytes an image."""

    names: list[str] = field(default_factory=list)
    splits: list[tuple[str, ...]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    miniatures: "array[int]" = field(default_factory=lambda: array("B"))

    def add(self, look: ImageSummary) -> None:
        self.names.append(look.name)
        self.splits.append(look.splits)
        self.digests.append(look.digest)
        self.miniatures.frombytes(look.miniature.tobytes())

    def find(self, report: Callable[[int, int], None] = lambda done, of: None) -> list[DuplicatePair]:
        """Every pair of the same image, leaks first, then identical ones. Of n identical files n - 1 pairs."""
        wide = superset_splits(dict(zip(self.names, self.splits, strict=True)))
        narrow = [frozenset(split for split in some if split not in wide) for some in self.splits]
        found = {pair: True for pair in self._identical(narrow)}
        for pair in self._similar(report):
            if len(found) >= PAIRS_MAX:
                break
            if self.digests[pair[0]] != self.digests[pair[1]]:
                found.setdefault(pair, False)
        duplicates = [
            DuplicatePair(
                self.names[a], self.names[b], self.splits[a], self.splits[b], same,
                leak=bool(narrow[a] and narrow[b]) and not narrow[a] & narrow[b],
            )
            for (a, b), same in found.items()
        ]  # fmt: skip
        return sorted(duplicates, key=lambda pair: (not pair.leak, not pair.identical, pair.a, pair.b))

    def _identical(self, narrow: Sequence[frozenset[str]]) -> Iterator[tuple[int, int]]:
        """Each further file of the same bytes with the first of another split where there is one, else the first."""
        groups = defaultdict(list)
        for index, digest in enumerate(self.digests):
            groups[digest].append(index)
        for group in groups.values():
            for position, index in enumerate(group[1:], start=1):
                others = [other for other in group[:position] if narrow[other] != narrow[index]]
                yield (others or group)[0], index

    def _similar(self, report: Callable[[int, int], None]) -> Iterator[tuple[int, int]]:
        pixels = np.frombuffer(self.miniatures, np.uint8).reshape(-1, MINIATURE[1] * MINIATURE[0])
        featured = np.array([i for i in range(len(pixels)) if pixels[i].std() >= FLAT], int)
        hashes = _hashes(pixels[featured])
        rows = max(1, _BLOCK // max(len(featured), 1))
        for start in range(0, len(featured), rows):
            report(start, len(featured))
            # Of bits as -1 and 1 the product counts how many are equal: 64 - 2 x those that differ.
            equal = hashes[start : start + rows] @ hashes[start:].T
            pairs = np.argwhere(equal >= 64 - 2 * BITS_MAX)
            pairs = pairs[pairs[:, 1] > pairs[:, 0]]
            for some in np.array_split(pairs, len(pairs) // _CHECKED + 1):
                a, b = featured[start + some[:, 0]], featured[start + some[:, 1]]
                alike = (_normalized(pixels[a]) * _normalized(pixels[b])).mean(1) >= CORRELATION_MIN
                yield from zip(a[alike].tolist(), b[alike].tolist(), strict=True)


def _normalized(pixels: np.ndarray) -> np.ndarray:
    """Miniatures [n, pixels] with mean 0 and deviation 1: the mean product of two is their correlation."""
    values = pixels.astype(np.float32)
    return (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)


def _hashes(pixels: np.ndarray) -> np.ndarray:
    """The dHash of miniatures [n, 16 x 18]: float32 [n, 64] of -1 and 1, whether it grows lighter to the right."""
    cells = pixels.reshape(-1, 8, MINIATURE[1] // 8, 9, MINIATURE[0] // 9).mean((2, 4), dtype=np.float32)
    return np.where(cells[:, :, 1:] > cells[:, :, :-1], 1, -1).reshape(-1, 64).astype(np.float32)
