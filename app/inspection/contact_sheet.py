"""A contact sheet: some images of a data set with their boxes drawn."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app import drawing
from app.dataset.annotation import Box
from app.inspection.dataset_view import ImageSummary

IMAGES = 24
IMAGES_MAX = 48
"""Images where so many are needed for every class to be seen."""
CELL = (480, 360)
"""Width and height in pixels that an image is fitted into."""
LABELLED_MAX = 12
"""Boxes on an image beyond which only one of each class has its name: the colours tell the rest."""
_COLUMNS, _GAP, _CAPTION = 4, 12, 26
_GROUND, _INK = "#202226", "#D8DADD"


@dataclass
class SheetSample:
    """Images for the sheet, chosen as summaries go by: for each class the first few of a shuffled order, and any few.

    Holds `IMAGES_MAX` summaries for each class at most, whatever the size of the set.
    """

    seed: int
    kept: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    summaries: dict[str, tuple[Box, ...]] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)

    def add(self, look: ImageSummary) -> None:
        key = random.Random(f"{self.seed} {look.name}").random()
        for label in {box.label for box in look.boxes} | {""}:
            self._offer(label, key, look, IMAGES_MAX if label == "" else 4)

    def _offer(self, label: str, key: float, look: ImageSummary, size: int) -> None:
        """Keeps the `size` lowest keys of a class: an even sample, the same for the same seed."""
        pool = self.kept.setdefault(label, [])
        if len(pool) == size and key >= pool[-1][0]:
            return
        pool.append((key, look.name))
        pool.sort()
        self.summaries[look.name] = look.boxes
        self.uses[look.name] = self.uses.get(look.name, 0) + 1
        if len(pool) > size:
            _, gone = pool.pop()
            self.uses[gone] -= 1
            if not self.uses[gone]:
                del self.uses[gone], self.summaries[gone]

    def select(self, classes: Sequence[str]) -> list[str]:
        """Names of the images to show: every class is on one where `IMAGES_MAX` allow it. The rarest come first."""
        chosen: dict[str, None] = {}
        seen: set[str] = set()
        for label in sorted((c for c in classes if c in self.kept), key=lambda c: (len(self.kept[c]), c)):
            if label in seen or len(chosen) >= IMAGES_MAX:
                continue
            name = max((name for _, name in self.kept[label]), key=lambda n: len(self._labels(n) - seen))
            chosen[name] = None
            seen |= self._labels(name)
        for _, name in self.kept.get("", []):
            if len(chosen) >= IMAGES:
                break
            chosen.setdefault(name)
        return list(chosen)

    def _labels(self, name: str) -> set[str]:
        return {box.label for box in self.summaries[name]}


def cell(pixels: np.ndarray, boxes: Sequence[Box], ids: Mapping[str, int]) -> Image.Image:
    """An image (uint8, height x width x 3) fitted into `CELL`, its boxes drawn. `ids` gives each class's number."""
    image = _fitted(Image.fromarray(pixels))
    crowded, named = len(boxes) > LABELLED_MAX, set()
    shown = []
    for box in sorted(boxes, key=lambda box: (box.xmax - box.xmin) * (box.ymax - box.ymin)):
        label = "" if crowded and box.label in named else box.label
        named.add(box.label)
        shown.append(drawing.Labelled((box.ymin, box.xmin, box.ymax, box.xmax), ids[box.label], label))
    return drawing.draw(np.asarray(image), shown)


def _fitted(image: Image.Image) -> Image.Image:
    """The image as large as it can be in `CELL`; of a line of pixels one remains, where Pillow's `contain` fails."""
    scale = min(CELL[0] / image.width, CELL[1] / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def compose(cells: Iterable[tuple[str, Image.Image]]) -> Image.Image:
    """The cells in a grid, each with its caption below it."""
    cells = list(cells)
    columns = min(_COLUMNS, max(len(cells), 1))
    rows = -(-len(cells) // columns) or 1
    width, height = CELL[0] + _GAP, CELL[1] + _CAPTION + _GAP
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _GROUND)
    pen, font = ImageDraw.Draw(sheet), drawing.font(14)
    for index, (caption, image) in enumerate(cells):
        left, top = _GAP + index % columns * width, _GAP + index // columns * height
        if image.width > CELL[0] or image.height > CELL[1]:
            image = _fitted(image)
        sheet.paste(image, (left + (CELL[0] - image.width) // 2, top + (CELL[1] - image.height) // 2))
        pen.text((left, top + CELL[1] + 5), _short(caption, font), fill=_INK, font=font)
    return sheet


def _short(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text in one line, its beginning left out where it is wider than a cell: names differ at their ends."""
    text = " ".join(text.split())
    if font.getlength(text) <= CELL[0]:
        return text
    while text and font.getlength(f"… {text}") > CELL[0]:
        text = text[1:]
    return f"… {text}"
