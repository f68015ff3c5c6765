"""Detections and groundtruth drawn on images."""

import functools
import importlib.util
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), which colour-blind people can tell apart.
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
WHITE_ON = {"#0072B2"}
"""Where white letters stand out more than black ones, by WCAG's contrast ratio."""
WIDEST = 640
NARROWEST = 240
LONGEST = 2400
"""A small image is enlarged up to `WIDEST` pixels, a narrow one to `NARROWEST` if it stays within `LONGEST`."""
LETTERS = 11
"""Pixels of the smallest letters."""
GROUNDTRUTH = "#FFFFFF"
HALO = "#202020"
"""Around every line, which without it is lost on a background of its own colour."""

Rectangle = tuple[float, float, float, float]
"""Pixels `left, top, right, bottom`."""


@dataclass(frozen=True)
class Labelled:
    """A box to draw: normalized `ymin, xmin, ymax, xmax`, class id from 1, and a label."""

    box: tuple[float, float, float, float]
    class_id: int
    label: str


def draw(
    image: np.ndarray, detections: Sequence[Labelled], groundtruth: Sequence[Labelled] = (), *, enlarge: bool = True
) -> Image.Image:
    """A copy of `image` (uint8, height x width x 3) with thin white groundtruth under coloured detections.

    With `enlarge` a small image is enlarged so that labels can be read. Labels come after all boxes, the first of
    `detections` at the best place; they keep off each other and within the image where that is possible.
    """
    canvas = Image.fromarray(image)
    if enlarge:
        canvas = _enlarged(canvas)
    pen = ImageDraw.Draw(canvas)
    for item in groundtruth:
        _outline(pen, _pixels(item.box, canvas), GROUNDTRUTH, 1)
    boxes = [_pixels(item.box, canvas) for item in detections]
    width = max(2, _base(canvas) // 250)
    # The first, which has the best score, is drawn last.
    for item, box in reversed(list(zip(detections, boxes, strict=True))):
        _outline(pen, box, _colour(item), width)
    letters = font(_letters(canvas, boxes))
    taken: list[Rectangle] = []
    for item, box in zip(detections, boxes, strict=True):
        if item.label:
            taken.append(_write(pen, item.label, box, _colour(item), letters, taken, canvas.size))
    return canvas


def _enlarged(canvas: Image.Image) -> Image.Image:
    longer, shorter = max(canvas.size), max(1, min(canvas.size))
    scale = max(1, WIDEST // longer, min(-(-NARROWEST // shorter), LONGEST // longer))
    if scale == 1:
        return canvas
    return canvas.resize((canvas.width * scale, canvas.height * scale), Image.Resampling.LANCZOS)


def _base(canvas: Image.Image) -> int:
    """The measure of letters and lines: the width, but not that of a panorama."""
    return int(min(canvas.width, 1.5 * canvas.height))


def _letters(canvas: Image.Image, boxes: Sequence[Rectangle]) -> int:
    """The size of letters: by the image's, and down to a third of that where the boxes are small."""
    usual = _base(canvas) / 45
    sides = [((right - left) * (bottom - top)) ** 0.5 for left, top, right, bottom in boxes]
    fitting = 0.2 * statistics.median(sides) if sides else usual
    return round(max(LETTERS, min(usual, max(fitting, usual / 3))))


def _outline(pen: ImageDraw.ImageDraw, box: Rectangle, colour: str, width: int) -> None:
    halo = max(1, width // 3)
    left, top, right, bottom = box
    pen.rectangle((left - halo, top - halo, right + halo, bottom + halo), outline=HALO, width=width + 2 * halo)
    pen.rectangle(box, outline=colour, width=width)


def _write(
    pen: ImageDraw.ImageDraw,
    text: str,
    box: Rectangle,
    colour: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    taken: Sequence[Rectangle],
    size: tuple[int, int],
) -> Rectangle:
    """Writes the label of `box` where it covers least of the `taken` places; returns the place."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    edge = max(3, (bottom - top) // 5)
    width, height = right - left + 2 * edge, bottom - top + 2 * edge
    place = min(
        _places(box, width, height, size), key=lambda place: sum(_common(place, other) for other in taken)
    )  # of equal ones the first
    pen.rectangle(place, fill=colour)
    letters = "white" if colour in WHITE_ON else "black"
    pen.text((place[0] + edge - left, place[1] + edge - top), text, fill=letters, font=font)
    return place


def _places(box: Rectangle, width: float, height: float, size: tuple[int, int]) -> Iterator[Rectangle]:
    """Where a label can be: above the box, below it, in its corners; each moved into the image."""
    left, top, right, bottom = box
    corners = (
        (left, top - height), (right - width, top - height), (left, bottom), (right - width, bottom),
        (left, top), (left, bottom - height), (right - width, bottom - height),
    )  # fmt: skip
    for x, y in corners:
        x, y = max(0.0, min(x, size[0] - width)), max(0.0, min(y, size[1] - height))
        yield x, y, x + width, y + height


def _common(one: Rectangle, other: Rectangle) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def _colour(item: Labelled) -> str:
    return PALETTE[(item.class_id - 1) % len(PALETTE)]


@functools.lru_cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans of matplotlib's wheel, which has more alphabets than Pillow's own font."""
    found = importlib.util.find_spec("matplotlib")
    folders = found.submodule_search_locations if found and found.submodule_search_locations else []
    for folder in folders:
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if path.is_file():
            return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size=size)


def _pixels(box: tuple[float, float, float, float], canvas: Image.Image) -> Rectangle:
    ymin, xmin, ymax, xmax = (min(max(float(side), 0.0), 1.0) for side in box)
    return (xmin * canvas.width, ymin * canvas.height, max(xmin, xmax) * canvas.width, max(ymin, ymax) * canvas.height)
