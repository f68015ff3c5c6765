"""Images of any sizes in batches of one size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from app.detection.detections import Detections


def by_size(
    images: Sequence[np.ndarray], run: Callable[[np.ndarray], list[Detections]], *, whole_batches: bool
) -> list[Detections]:
    """What `run` finds on each of `images` (uint8, height x width x 3), in their order.

    `run` gets a stack [n, height, width, 3]: all images of one size, or one at a time without `whole_batches`.
    """
    groups: dict[object, list[int]] = {}
    for number, image in enumerate(images):
        groups.setdefault(image.shape if whole_batches else number, []).append(number)
    found: dict[int, Detections] = {}
    for numbers in groups.values():
        found.update(zip(numbers, run(np.stack([images[number] for number in numbers])), strict=True))
    return [found[number] for number in range(len(images))]


Key = TypeVar("Key")


WAITING_FACTOR = 4
"""At most so many batches' worth of images wait for others of their size, which bounds the memory."""


def batches(images: Iterable[tuple[Key, np.ndarray]], size: int) -> Iterator[tuple[list[Key], list[np.ndarray]]]:
    """Batches of up to `size` images (uint8, height x width x 3) of the same shape, with their keys.

    The order is nearly that of `images`: one of a rare size waits until its batch is full or too many wait.
    """
    waiting: dict[tuple[int, ...], list[tuple[Key, np.ndarray]]] = {}
    for key, image in images:
        group = waiting.setdefault(image.shape, [])
        group.append((key, image))
        if len(group) >= size:
            yield _columns(waiting.pop(image.shape))
        elif sum(map(len, waiting.values())) >= WAITING_FACTOR * size:
            yield _columns(waiting.pop(next(iter(waiting))))
    for group in waiting.values():
        yield _columns(group)


def _columns(group: list[tuple[Key, np.ndarray]]) -> tuple[list[Key], list[np.ndarray]]:
    return [key for key, _ in group], [image for _, image in group]
