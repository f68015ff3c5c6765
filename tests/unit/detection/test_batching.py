"""Images put together by size."""

import numpy as np
import pytest

from app.detection import batching

SHAPES = {"a": (2, 3, 3), "b": (3, 2, 3)}


def run(letters, size):
    images = ((number, np.zeros(SHAPES.get(letter, (9, ord(letter), 3)))) for number, letter in enumerate(letters))
    return [(keys, {image.shape for image in group}) for keys, group in batching.batches(images, size)]


@pytest.mark.parametrize(
    ("letters", "size", "expected"),
    [
        ("aabb", 1, [[0], [1], [2], [3]]),
        ("aabba", 2, [[0, 1], [2, 3], [4]]),
        ("abab", 2, [[0, 2], [1, 3]]),
        ("baaa", 3, [[1, 2, 3], [0]]),
        ("", 4, []),
    ],
)
def test_batches_are_of_one_size(letters, size, expected):
    """Every image is in one batch, full where its size is met often enough."""
    found = run(letters, size)
    assert [keys for keys, _ in found] == expected
    assert all(len(shapes) == 1 for _, shapes in found)


def test_few_images_wait():
    """Images of all different sizes are handed on before all of them are in memory."""
    taken = []

    def images():
        for number in range(100):
            taken.append(number)
            yield number, np.zeros((1, number + 1, 3))

    keys, _ = next(batching.batches(images(), 3))
    assert keys == [0] and len(taken) == batching.WAITING_FACTOR * 3
