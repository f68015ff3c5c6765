"""Drawn detections can be read."""

import numpy as np
import pytest
from PIL import ImageColor

from app import drawing
from app.drawing import Labelled


def grey(width, height, level=128):
    return np.full((height, width, 3), level, np.uint8)


def area(image, class_id):
    """Pixels that have the class's colour."""
    colour = ImageColor.getrgb(drawing.PALETTE[class_id - 1])
    return int((np.asarray(image) == colour).all(axis=2).sum())


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((32, 24), (640, 480)), ((120, 1000), (240, 2000)), ((640, 480), (640, 480)), ((4000, 3000), (4000, 3000)),
     ((1, 1), (640, 640)), ((3000, 10), (3000, 10))],
)  # fmt: skip
def test_small_and_narrow_images_are_enlarged(size, drawn):
    """So that a label has room; large ones stay as they are."""
    assert drawing.draw(grey(*size), [Labelled((0, 0, 1, 1), 1, "x 90%")]).size == drawn


@pytest.mark.parametrize(
    "box", [(0.4, 0.4, 0.6, 0.6), (0, 0, 1, 1), (0.4, 0.98, 0.6, 1), (0.98, 0.9, 1, 1), (0, 0, 0, 0)]
)
def test_a_label_is_whole_wherever_the_box_is(box):
    """It is moved into the image: as much of it is seen as with a box of that size in the middle."""
    height, width = box[2] - box[0], box[3] - box[1]
    middle = (0.5 - height / 2, 0.5 - width / 2, 0.5 + height / 2, 0.5 + width / 2)
    usual, elsewhere = (
        area(drawing.draw(grey(640, 480), [Labelled(place, 3, "class 3 97%")]), 3)
        - area(drawing.draw(grey(640, 480), [Labelled(place, 3, "")]), 3)
        for place in (middle, box)
    )
    assert elsewhere > 0.8 * usual


def test_labels_keep_off_each_other():
    """Boxes on the same spot have labels side by side, each as large as alone."""
    items = [Labelled((0.3, 0.3, 0.6, 0.6), number, "something 97%") for number in (1, 2, 3, 4)]
    together = drawing.draw(grey(640, 480), items)
    for item in items[1:]:
        alone = drawing.draw(grey(640, 480), [item])
        label = area(alone, item.class_id) - area(
            drawing.draw(grey(640, 480), [Labelled(item.box, item.class_id, "")]), item.class_id
        )
        assert area(together, item.class_id) > 0.8 * label


def test_boxes_stand_out_from_their_own_colour():
    """A yellow box on a yellow image has a dark line around it."""
    yellow = np.full((480, 640, 3), ImageColor.getrgb(drawing.PALETTE[3]), np.uint8)
    image = np.asarray(
        drawing.draw(yellow, [Labelled((0.3, 0.3, 0.6, 0.6), 4, "")], [Labelled((0.7, 0.7, 0.9, 0.9), 1, "")])
    )
    assert (image == ImageColor.getrgb(drawing.HALO)).all(axis=2).sum() > 1000


def test_letters_suit_the_image():
    """On a large one they are larger, and smaller again where the boxes are."""

    def label(boxes):
        with_text, without = (
            drawing.draw(grey(2400, 1800), [Labelled(box, 1, text) for box in boxes]) for text in ("RBC 90%", "")
        )
        return (area(with_text, 1) - area(without, 1)) / len(boxes)

    large = label([(0.2, 0.2, 0.8, 0.8)])
    small = label([(y, x, y + 0.02, x + 0.02) for y in (0.2, 0.4, 0.6) for x in (0.2, 0.4, 0.6)])
    assert large > 4 * small > 0
