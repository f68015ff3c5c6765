"""The confusion matrix and the precision-recall curves of one evaluation as images for TensorBoard."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.drawing import PALETTE

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

LEAST_CELL, MOST_CELL, WANTED_SIDE = 14, 56, 560
"""Pixels of a cell of the matrix, between which the whole is to be about WANTED_SIDE wide."""
ROOM_FOR_A_NUMBER = 28
NAME_LENGTH = 16
INK, PAPER, GRID, DEEP = "#222222", "#FFFFFF", "#DDDDDD", (0, 90, 160)
PLOT, MARGIN = 420, 56
LINE_HEIGHT, LISTED_MOST = 18, 24


def draw_confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]], title: str) -> Image.Image:
    """Counts shaded by their part of their row (groundtruth).

    The last row has the false positives, the last column the false negatives.
    """
    counts = np.asarray(matrix)
    cell = int(np.clip(WANTED_SIDE // len(labels), LEAST_CELL, MOST_CELL))
    font = _font(min(13, cell - 2))
    names = [_short(name) for name in labels]
    across = max(int(font.getlength(name)) for name in names) + 12
    left, top, side = across + LINE_HEIGHT, across + 2 * LINE_HEIGHT, cell * len(labels)
    image = Image.new("RGB", (left + side + 16, top + side + 12), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((8, 6), title, fill=INK, font=_font(13))
    image.paste(_upright("groundtruth", _font(12)), (2, top))
    pen.text((left, 6 + LINE_HEIGHT), "detected", fill=INK, font=_font(12))
    for at, name in enumerate(names):
        pen.text((left - 6, top + (at + 0.5) * cell), name, fill=INK, font=font, anchor="rm")
        upright = _upright(name, font)
        image.paste(upright, (left + at * cell + (cell - upright.width) // 2, top - upright.height - 4))
    parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row, column in np.ndindex(counts.shape):
        _cell(pen, (left + column * cell, top + row * cell), cell, int(counts[row, column]), parts[row, column], font)
    return image


def draw_curves(classes: Sequence[dict[str, Any]], iou: float) -> Image.Image:
    """Precision over recall of each class with groundtruth, a dot where F1 is highest; `classes` as in `details`."""
    shown = sorted((row for row in classes if row["curve"]), key=lambda row: -row["groundtruth"])[:LISTED_MOST]
    lines = [_legend(row) for row in shown]
    font = _font(12)
    wide = max([int(font.getlength(line)) for line in lines], default=0)
    height = max(PLOT + 2 * MARGIN, MARGIN + LINE_HEIGHT * len(lines) + 12)
    image = Image.new("RGB", (MARGIN + PLOT + 40 + wide + 16, height), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((MARGIN, 12), f"precision over recall at IoU {iou:g}", fill=INK, font=_font(13))
    for tenth in range(0, 11, 2):
        along, up = MARGIN + PLOT * tenth / 10, MARGIN + PLOT * (1 - tenth / 10)
        pen.line((MARGIN, up, MARGIN + PLOT, up), fill=GRID)
        pen.line((along, MARGIN, along, MARGIN + PLOT), fill=GRID)
        pen.text((MARGIN - 6, up), f"{tenth / 10:g}", fill=INK, font=font, anchor="rm")
        pen.text((along, MARGIN + PLOT + 6), f"{tenth / 10:g}", fill=INK, font=font, anchor="mt")
    for number, (row, line) in enumerate(zip(shown, lines, strict=True)):
        colour = PALETTE[number % len(PALETTE)]
        recalls = np.linspace(0, 1, len(row["curve"]))
        pen.line([_at(r, p) for r, p in zip(recalls, row["curve"], strict=True)], fill=colour, width=2)
        if row["precision"] is not None:
            x, y = _at(row["recall"], row["precision"])
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour, outline=INK)
        y = MARGIN + number * LINE_HEIGHT
        pen.line((MARGIN + PLOT + 16, y + 8, MARGIN + PLOT + 34, y + 8), fill=colour, width=3)
        pen.text((MARGIN + PLOT + 40, y), line, fill=INK, font=font)
    return image


def join_side_by_side(left: Image.Image, right: Image.Image, words: str) -> Image.Image:
    """Two images of a size beside each other under a line of words."""
    image = Image.new("RGB", (left.width + right.width + 8, left.height + LINE_HEIGHT + 8), PAPER)
    ImageDraw.Draw(image).text((4, 4), words, fill=INK, font=_font(13))
    image.paste(left, (0, LINE_HEIGHT + 8))
    image.paste(right, (left.width + 8, LINE_HEIGHT + 8))
    return image


def _cell(pen: ImageDraw.ImageDraw, corner: tuple[int, int], cell: int, count: int, part: float, font: Font) -> None:
    left, top = corner
    shade = tuple(round(255 + (deep - 255) * part) for deep in DEEP)
    pen.rectangle((left, top, left + cell, top + cell), fill=shade, outline=GRID)
    if cell >= ROOM_FOR_A_NUMBER:
        ink = PAPER if part > 0.5 else INK
        pen.text((left + cell / 2, top + cell / 2), str(count), fill=ink, font=font, anchor="mm")


def _legend(row: dict[str, Any]) -> str:
    best = f", F1 {row['f1']:.2f} from {row['f1_threshold']:.2f}" if row["f1_threshold"] is not None else ""
    return f"{_short(row['name'])}: AP50 {row['ap50']:.2f}{best}"


def _at(recall: float, precision: float) -> tuple[float, float]:
    return MARGIN + PLOT * recall, MARGIN + PLOT * (1 - precision)


def _upright(text: str, font: Font) -> Image.Image:
    image = Image.new("RGB", (int(font.getlength(text)) + 4, LINE_HEIGHT), PAPER)
    ImageDraw.Draw(image).text((2, LINE_HEIGHT / 2), text, fill=INK, font=font, anchor="lm")
    return image.rotate(90, expand=True)


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def _font(size: int) -> Font:
    return ImageFont.load_default(size=size)
