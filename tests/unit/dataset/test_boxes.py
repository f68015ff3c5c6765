"""Boxes brought into the image's frame."""

import pytest
from PIL import Image, ImageOps

from app.dataset import boxes, faults
from app.dataset.annotation import AnnotatedImage, Box
from app.dataset.faults import Fault


def placed(box, *, said=(100, 50), raw=(100, 50), orientation=1, fractions=False):
    image = AnnotatedImage(None, "p.jpg", (box,), *said, fractions)
    kept, found = boxes.place_boxes(image, raw, orientation)
    corners = [tuple(round(v, 6) for v in (b.xmin, b.ymin, b.xmax, b.ymax)) for b in kept]
    return corners, [(fault.kind, fault.action) for fault in found]


def sound(*corners):
    items = list(boxes.check_box(Box("a", *corners), "p.jpg"))
    kept = [(b.xmin, b.ymin, b.xmax, b.ymax) for b in items if isinstance(b, Box)]
    return kept, [(f.kind, f.action) for f in items if isinstance(f, Fault)]


def test_pixels_become_fractions():
    """Corners are divided by the image's sides; the area becomes the box's where none is stated."""
    assert placed(Box("a", 10, 5, 60, 30)) == ([(0.1, 0.1, 0.6, 0.6)], [])
    stated = Box("a", 0, 0, 50, 25, area=500)
    kept, _ = boxes.place_boxes(AnnotatedImage(None, "p", (stated,), 100, 50), (100, 50), 1)
    assert kept[0].area == pytest.approx(0.1)


def test_corners():
    """Swapped corners are fixed; boxes without area or with no numbers are dropped."""
    assert sound(9, 8, 1, 2) == ([(1, 2, 9, 8)], [(faults.BOX_SWAPPED, "fixed")])
    assert sound(5, 1, 5, 9) == ([], [(faults.BOX_EMPTY, "dropped")])
    assert sound(5, 9, 6, 9) == ([], [(faults.BOX_EMPTY, "dropped")])
    assert sound(float("nan"), 1, 2, 3) == ([], [(faults.BOX_UNREADABLE, "dropped")])
    assert sound(0, 1, float("inf"), 3) == ([], [(faults.BOX_UNREADABLE, "dropped")])


def test_edges():
    """A pixel over the edge is clipped in silence, more is counted, a box wholly outside is dropped."""
    assert placed(Box("a", -1, 0, 101, 50)) == ([(0, 0, 1, 1)], [])
    assert placed(Box("a", -10, 5, 50, 25)) == ([(0, 0.1, 0.5, 0.5)], [(faults.BOX_CLIPPED, "fixed")])
    assert placed(Box("a", 100, 5, 150, 25)) == ([], [(faults.BOX_OUTSIDE, "dropped")])
    assert placed(Box("a", 10, 5, 10.001, 25)) == ([], [(faults.BOX_EMPTY, "dropped")])
    assert placed(Box("a", 10, -20, 50, 0)) == ([], [(faults.BOX_OUTSIDE, "dropped")])


def test_stated_size():
    """None: the image's; of a resized copy: boxes are scaled; of another shape: they are pixels."""
    box = Box("a", 20, 10, 40, 20)
    assert placed(box, said=(0, 0)) == ([(0.2, 0.2, 0.4, 0.4)], [])
    assert placed(box, said=(200, 100)) == ([(0.1, 0.1, 0.2, 0.2)], [(faults.SIZE_SCALED, "fixed")])
    assert placed(box, said=(50, 100)) == ([(0.2, 0.2, 0.4, 0.4)], [(faults.SIZE_WRONG, "fixed")])


def test_fractions_need_no_size():
    """YOLO's boxes are fractions already, whatever size is stated."""
    assert placed(Box("a", 0.1, 0.2, 0.3, 0.4), said=(7, 7), fractions=True) == ([(0.1, 0.2, 0.3, 0.4)], [])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_turn_as_pillow_turns_images(orientation):
    """The mapping of points agrees with ImageOps.exif_transpose on an image with one white pixel."""
    image = Image.new("L", (5, 3))
    image.putpixel((4, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    image.getexif()[0x0112] = orientation
    shown = ImageOps.exif_transpose(image)
    x, y = boxes.rotate_point(4.5 / 5, 0.5 / 3, orientation)
    assert shown.getpixel((int(x * shown.width), int(y * shown.height))) == 255
    assert shown.size == ((3, 5) if orientation >= 5 else (5, 3))


def test_rotated_images():
    """Boxes in the size that viewers show stay; boxes in the size of the file turn with the image."""
    box = Box("a", 10, 5, 20, 25)
    assert placed(box, said=(50, 100), orientation=6) == ([(0.2, 0.05, 0.4, 0.25)], [])
    assert placed(box, said=(100, 50), orientation=6) == ([(0.5, 0.1, 0.9, 0.2)], [])
    assert placed(box, said=(0, 0), orientation=6)[0] == [(0.2, 0.05, 0.4, 0.25)]


@pytest.mark.parametrize("said", [(100, 50), (0, 0), (37, 91)])
def test_fractions_where_pixels_belong(said):
    """Boxes of which all lie within the first pixel are in fractions, whatever size is stated, and counted."""
    fixed = [(faults.BOX_IN_FRACTIONS, "fixed")]
    assert placed(Box("a", 0.1, 0.2, 0.5, 1.0), said=said) == ([(0.1, 0.2, 0.5, 1.0)], fixed)
    assert placed(Box("a", 0.99, 0.2, 1.005, 1.0), said=said) == ([(0.99, 0.2, 1.0, 1.0)], fixed)


def test_pixels_are_not_taken_for_fractions():
    """One box beyond the first pixel, or one of exactly that pixel, and they are pixels."""
    two = (Box("a", 0, 0, 0.5, 1), Box("a", 0, 0, 50, 25))
    kept, found = boxes.place_boxes(AnnotatedImage(None, "p.jpg", two, 100, 50), (100, 50), 1)
    assert [box.xmax for box in kept] == [0.005, 0.5] and not found
    assert placed(Box("a", 0, 0, 1, 1)) == ([(0, 0, 0.01, 0.02)], [])
