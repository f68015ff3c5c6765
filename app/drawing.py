"""Detections and groundtruth drawn on pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), which colour-blind people can tell apart.
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
WIDEST = 640
GROUNDTRUTH = "#FFFFFF"


@dataclass(frozen=True)
class Labelled:
    """A box to draw: normalized `ymin, xmin, ymax, xmax`, class id from 1, and a label."""

    box: tuple[float, float, float, float]
    class_id: int
    label: str


def draw(picture: np.ndarray, detections: Sequence[Labelled], groundtruth: Sequence[Labelled] = ()) -> Image.Image:
    """A copy of `picture` (uint8, height x width x 3) with thin white groundtruth under coloured detections.

    A small picture is enlarged to up to 640 pixels in width, so that labels can be read.
    """
    image = Image.fromarray(picture)
    scale = max(1, WIDEST // max(image.size))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(11, image.width // 45))
    for item in groundtruth:
        pen.rectangle(_pixels(item.box, image), outline=GROUNDTRUTH, width=1)
    for item in sorted(detections, key=lambda d: d.class_id):
        colour = PALETTE[(item.class_id - 1) % len(PALETTE)]
        left, top, right, bottom = _pixels(item.box, image)
        pen.rectangle((left, top, right, bottom), outline=colour, width=max(2, image.width // 250))
        _write_label(pen, (left, top), item.label, colour, font)
    return image


def _write_label(pen: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, colour: str, font) -> None:
    width, height = pen.textbbox((0, 0), text, font=font)[2:]
    left, top = corner[0], max(0, corner[1] - height - 4)
    pen.rectangle((left, top, left + width + 6, top + height + 4), fill=colour)
    pen.text((left + 3, top + 1), text, fill="black", font=font)


def _pixels(box: tuple[float, float, float, float], image: Image.Image) -> tuple[float, float, float, float]:
    ymin, xmin, ymax, xmax = (min(max(side, 0.0), 1.0) for side in box)
    return (
        xmin * image.width,
        ymin * image.height,
        max(xmin, xmax) * image.width,
        max(ymin, ymax) * image.height,
    )
