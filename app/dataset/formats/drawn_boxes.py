"""The boxes of one image out of whatever shapes a tool draws."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage, Box
from app.dataset.faults import FIXED, Fault
from app.dataset.image_index import ImageIndex
from app.dataset.masks import Mask
from app.dataset.shapes import Corners


@dataclass
class DrawnBoxes:
    """Boxes as they are added; a fault for each shape that gave none (`lost`), and for each that was fixed."""

    where: str
    boxes: list[Box] = field(default_factory=list)
    lost: list[Fault] = field(default_factory=list)
    fixed: list[Fault] = field(default_factory=list)

    def add(
        self,
        label: str,
        shape: str,
        corners: Callable[[], Corners],
        *,
        upright: bool = False,
        mask: Callable[[], Mask | None] | None = None,
        **more: Any,
    ) -> None:
        """Adds the box of a shape, which is one itself if `upright`.

        `corners` and `mask` raise ValueError, with the reason, where there is none.
        """
        if not label:
            self.lost.append(Fault(faults.LABEL_UNKNOWN, self.where, f"{shape} without a class"))
            return
        try:
            around = corners()
        except ValueError as error:
            self.lost.append(Fault(faults.BOX_UNREADABLE, self.where, f"{label}, {shape}: {error}"))
            return
        drawn = None
        try:
            drawn = mask() if mask else None
        except ValueError as error:
            self.fixed.append(Fault(faults.MASK_UNREADABLE, self.where, f"{label}: {error}", FIXED))
        if not upright:
            self.fixed.append(Fault(faults.BOX_AROUND, self.where, f"{label}, {shape}", FIXED))
        self.boxes.append(Box(label, *around, mask=drawn, **more))

    def image(self, found: Path, index: ImageIndex, **more: Any) -> Iterator[AnnotatedImage | Fault]:
        """What was fixed, and the image with its boxes."""
        yield from self.fixed
        yield AnnotatedImage(found, index.name(found), tuple(self.boxes), lost=tuple(self.lost), **more)
