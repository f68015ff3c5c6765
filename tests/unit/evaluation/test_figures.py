"""Matrix and curves as images."""

import numpy as np
import pytest
from PIL import Image
from scenes import CLASSES, scene

from app.evaluation import coco, figures
from app.evaluation.details import describe_evaluation


@pytest.mark.parametrize("classes", [1, 4, 90])
def test_the_matrix_is_drawn_for_any_number_of_classes(classes):
    """It stays small, and a full diagonal is darker than the rest."""
    labels = [f"class {number}" for number in range(classes)] + ["background"]
    image = figures.draw_confusion(labels, np.diag([7] * classes + [0]).tolist(), "step 1")
    assert 100 < image.width < 1600 and 100 < image.height < 1600
    assert figures.DEEP in {colour for _, colour in image.getcolors(1 << 20)}


def test_curves_are_drawn_for_classes_with_groundtruth():
    """One colour a class; without any class there is still an image."""
    images = scene(1)
    details, _ = describe_evaluation(images, CLASSES, coco.measure_coco(images, CLASSES).classes, iou=0.5, score=None)
    colours = {colour for _, colour in figures.draw_curves(details["classes"], 0.5).getcolors(1 << 20)}
    wanted = [tuple(int(code[at : at + 2], 16) for at in (1, 3, 5)) for code in figures.PALETTE]
    assert [colour in colours for colour in wanted[:4]] == [True, True, True, False]
    assert figures.draw_curves([], 0.5).width > figures.PLOT


def test_images_side_by_side():
    """Left and right keep their pixels, under a line of text."""
    left, right = Image.new("RGB", (60, 40), "red"), Image.new("RGB", (60, 40), "blue")
    both = figures.join_side_by_side(left, right, "cat.jpg: 1 false negative")
    assert both.getpixel((30, both.height - 5)) == (255, 0, 0)
    assert both.getpixel((both.width - 30, both.height - 5)) == (0, 0, 255)
