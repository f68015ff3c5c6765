"""Pictures of any sizes through a model that takes stacks of one size."""

from collections.abc import Callable, Sequence

import numpy as np

from app.export.detections import Detections


def by_size(
    pictures: Sequence[np.ndarray], run: Callable[[np.ndarray], list[Detections]], *, whole_batches: bool
) -> list[Detections]:
    """What `run` finds on each of `pictures` (uint8, height x width x 3), in their order.

    `run` gets a stack [n, height, width, 3]: all pictures of one size, or one at a time without `whole_batches`.
    """
    groups: dict[object, list[int]] = {}
    for number, picture in enumerate(pictures):
        groups.setdefault(picture.shape if whole_batches else number, []).append(number)
    found: dict[int, Detections] = {}
    for numbers in groups.values():
        found.update(zip(numbers, run(np.stack([pictures[number] for number in numbers])), strict=True))
    return [found[number] for number in range(len(pictures))]
