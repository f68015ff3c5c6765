"""The search for the largest batch that fits: doubling, then bisection; no process is started here."""

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.errors import OutOfMemoryError, SettingsError
from app.settings import flag

LEAST_GAIN = 1.05
"""Images/s of a doubled batch, as a multiple, below which it is not worth its memory: two runs differ by less."""
RESOLUTION = 1 / 8
"""Of the batch that fits: a finer search costs more time than the difference will save."""


@dataclass(frozen=True)
class Try:
    """Training steps of `images`. `bytes`: the peak, 0 where it is not known. `why`: what ended them, if they failed.

    `is_late`: they took too much time, which says nothing of memory.
    """

    images: int
    fits: bool
    bytes: int = 0
    images_per_sec: float = 0.0
    why: str = ""
    is_late: bool = False


@dataclass(frozen=True)
class Found:
    """The batch that was found, in one line why it is no larger, and all that was tried, in its order."""

    images: int
    why: str
    tries: tuple[Try, ...]


def search(
    attempt: Callable[[int], Try], sizes: Sequence[int], *, start: int = 1, least_gain: float | None = LEAST_GAIN
) -> Found:
    """The largest of `sizes` (ascending) that fits.

    `start`: the first to be tried, where something tells that smaller ones fit. `least_gain`: images/s that a doubled
    batch must bring, as a multiple; None: memory alone decides.
    Raises OutOfMemoryError where the smallest does not fit, SettingsError where it takes too long.
    """
    tries: list[Try] = []

    def run(size: int) -> Try:
        tries.append(attempt(size))
        return tries[-1]

    best = run(_at_most(sizes, start))
    while not best.fits:
        if best.images == sizes[0]:
            raise no_batch(best)
        failed, best = best, run(_at_most(sizes, best.images // 2))
        if best.fits:
            best, failed = _bisect(run, sizes, best, failed)
            return Found(best.images, f"{failed.images} {failed.why}", tuple(tries))
    while best.images < sizes[-1]:
        size = _at_least(sizes, 2 * best.images)
        more = run(size)
        if not more.fits:
            best, failed = _bisect(run, sizes, best, more)
            return Found(best.images, f"{failed.images} {failed.why}", tuple(tries))
        if least_gain is not None and more.images_per_sec < least_gain * best.images_per_sec:
            why = f"{more.images} give {more.images_per_sec:.3g} images/s, {best.images} {best.images_per_sec:.3g}"
            return Found(best.images, why, tuple(tries))
        best = more
    return Found(best.images, "there are no more to take", tuple(tries))


def no_batch(smallest: Try) -> OutOfMemoryError | SettingsError:
    """The error for a model of which not even the smallest batch can be trained."""
    what, where = f"no batch can be trained here: {smallest.images} {smallest.why}", "batch_size auto"
    if smallest.is_late:
        remedy = f"more time for a try: {flag('trial_secs')}, or a number: {flag('batch_size')}"
        return SettingsError(what, where=where, remedy=remedy)
    remedy = f"smaller images, or a smaller model: {flag('image_size')}, or {flag('model')}"
    return OutOfMemoryError(what, where=where, remedy=remedy)


def _bisect(run: Callable[[int], Try], sizes: Sequence[int], best: Try, failed: Try) -> tuple[Try, Try]:
    """The largest that fits, and the smallest that does not, near enough to each other."""
    while between := [size for size in sizes if best.images < size < failed.images]:
        if failed.images - best.images <= best.images * RESOLUTION:
            break
        tried = run(_at_least(between, (best.images + failed.images) // 2))
        best, failed = (tried, failed) if tried.fits else (best, tried)
    return best, failed


def _at_most(sizes: Sequence[int], size: int) -> int:
    return sizes[max(bisect.bisect_right(sizes, size) - 1, 0)]


def _at_least(sizes: Sequence[int], size: int) -> int:
    return sizes[min(bisect.bisect_left(sizes, size), len(sizes) - 1)]
