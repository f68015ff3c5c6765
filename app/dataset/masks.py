"""Instance masks: outlines or bitmaps of an annotation, drawn for the stored image.

A mask travels packed: outlines as float32, bitmaps in COCO's run-length code. Drawn, it is a one-channel PNG of 0 and
1, which upstream's decoder reads as `image/object/mask` with `mask_type: PNG_MASKS`.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_masks

from app.raster_image import open_image

POINTS_MAX = 100_000
"""Numbers of an outline above which it is no outline."""
PIXELS_MAX = 1 << 28


@dataclass(frozen=True, slots=True)
class Mask:
    """One object's mask.

    Either `outlines`: each x, y, x, y ... as float32 in the unit of the box's corners; or `runs`, a run-length code of
    COCO, of a bitmap of `size` (height, width), turned by the EXIF `orientation` before it is drawn.
    """

    outlines: tuple[bytes, ...] = ()
    runs: bytes = b""
    size: tuple[int, int] = (0, 0)
    orientation: int = 1


def of_outlines(outlines: Sequence[Sequence[float]]) -> Mask:
    """The mask of outlines `[x, y, x, y ...]`. Raises ValueError for what is no outline."""
    packed = []
    for outline in outlines:
        values = np.asarray(outline, np.float32)
        if values.ndim != 1 or values.size < 6 or values.size % 2 or values.size > POINTS_MAX:
            raise ValueError("an outline needs three points at least, of two numbers each")
        if not np.isfinite(values).all():
            raise ValueError("an outline with numbers that are none")
        packed.append(values.tobytes())
    if not packed:
        raise ValueError("no outline")
    return Mask(outlines=tuple(packed))


def of_bitmap(bitmap: np.ndarray) -> Mask:
    """The mask of a bitmap [height, width], of anything that is zero outside."""
    runs = coco_masks.encode(np.asfortranarray(bitmap != 0, np.uint8))
    height, width = map(int, runs["size"])
    return Mask(runs=runs["counts"], size=(height, width))


def of_png(data: bytes) -> Mask:
    """The mask of an encoded image. Raises ValueError where it is none."""
    return of_bitmap(read_bitmap(data))


def read_bitmap(data: bytes) -> np.ndarray:
    """The bitmap [height, width] of an encoded image, or its transparency if it has any. Raises ValueError."""
    try:
        with open_image(data) as image:
            if image.width * image.height > PIXELS_MAX:
                raise ValueError(f"a bitmap of {image.width}x{image.height}")
            if image.mode in ("RGBA", "LA"):
                return np.asarray(image.getchannel("A"))
            return np.asarray(image.convert("L") if image.mode not in ("L", "1", "P") else image)
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes.
        raise ValueError(" ".join(str(error).split())[:120]) from None


def box_at(bitmap: np.ndarray, x: float, y: float) -> tuple[float, float, float, float]:
    """xmin, ymin, xmax, ymax in pixels of what a bitmap shows whose top left corner lies at x, y. Raises ValueError."""
    rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
    if not rows.size:
        raise ValueError("an empty bitmap")
    return x + float(columns[0]), y + float(rows[0]), x + float(columns[-1]) + 1, y + float(rows[-1]) + 1


def place_bitmap(bitmap: np.ndarray, x: float, y: float, width: int, height: int) -> Mask:
    """The mask in an image of this size of a bitmap whose top left corner lies at x, y. Raises ValueError."""
    if not 0 < width * height <= PIXELS_MAX or max(abs(x), abs(y)) > PIXELS_MAX:
        raise ValueError(f"a bitmap in an image of {width}x{height}" if width else "a bitmap in an image without size")
    left, top = round(x), round(y)
    whole = np.zeros((height, width), np.uint8)
    part = bitmap[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    rows, columns = max(top, 0), max(left, 0)
    whole[rows : rows + part.shape[0], columns : columns + part.shape[1]] = part != 0
    return of_bitmap(whole)


def of_coco(said: Any) -> Mask:
    """The mask of a COCO `segmentation`: outlines, or run lengths as numbers or packed. Raises ValueError."""
    try:
        if isinstance(said, dict):
            height, width = (int(side) for side in said["size"])
            if height < 1 or width < 1 or height * width > PIXELS_MAX:
                raise ValueError(f"a bitmap of {width}x{height}")
            return _of_runs(said["counts"], height, width)
        return of_outlines([said] if said and isinstance(said[0], int | float) else said)
    except (TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"no segmentation: {' '.join(str(error).split())[:80]}") from None


def _of_runs(counts: Any, height: int, width: int) -> Mask:
    """Runs of the bitmap's columns, 0 first. Those packed by COCO are unpacked by COCO's own code."""
    if isinstance(counts, list):
        lengths = np.asarray(counts, np.int64)
        if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
            raise ValueError("run lengths that do not fill the bitmap")
        values = np.arange(lengths.size) % 2
        return of_bitmap(np.repeat(values, lengths).reshape((height, width), order="F"))
    packed = counts.encode() if isinstance(counts, str) else bytes(counts)
    if sum(_unpacked(packed)) != height * width:  # COCO's C code does not look where it writes.
        raise ValueError("run lengths that do not fill the bitmap")
    return Mask(runs=packed, size=(height, width))


def _unpacked(packed: bytes) -> list[int]:
    """The run lengths of COCO's packed string (rleFrString of cocoapi): 5 bits a character, differences from the
    last but one. Raises ValueError for one that is cut short or has a negative run."""
    lengths: list[int] = []
    value = shift = 0
    for byte in packed:
        digit = byte - 48
        if not 0 <= digit < 64 or shift > 30:
            raise ValueError("run lengths in no known code")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = shift = 0
    if shift or any(length < 0 for length in lengths):
        raise ValueError("run lengths in no known code")
    return lengths


def moved(mask: Mask, move: Callable[[np.ndarray], np.ndarray], orientation: int) -> Mask:
    """The mask with `move` applied to its points ([n, 2] of x, y); a bitmap is to be turned by `orientation`."""
    points = (np.frombuffer(outline, np.float32).reshape(-1, 2) for outline in mask.outlines)
    packed = tuple(np.asarray(move(some), np.float32).tobytes() for some in points)
    return Mask(packed, mask.runs, mask.size, orientation)


def box_around(mask: Mask) -> list[float]:
    """x, y, width, height in pixels of a bitmap's mask. Raises ValueError for an empty one."""
    x, y, width, height = map(float, coco_masks.toBbox({"counts": mask.runs, "size": list(mask.size)}))
    if not (width and height):
        raise ValueError("an empty bitmap")
    return [x, y, width, height]


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""As in Pillow's ImageOps.exif_transpose."""


def draw(mask: Mask | None, width: int, height: int) -> bytes:
    """The mask as PNG of `width` x `height` pixels, 1 inside. Outlines are in fractions. None: nothing inside."""
    if mask is None:
        image = Image.new("L", (width, height))
    elif mask.outlines:
        scale = np.array([width, height], np.float64)
        outlines = [(np.frombuffer(o, np.float32).reshape(-1, 2).clip(0, 1) * scale).ravel() for o in mask.outlines]
        runs = coco_masks.merge(coco_masks.frPyObjects([o.tolist() for o in outlines], height, width))
        image = Image.fromarray(coco_masks.decode(runs))
    else:
        image = Image.fromarray(coco_masks.decode({"counts": mask.runs, "size": list(mask.size)}))
        if mask.orientation != 1:
            image = image.transpose(_TURNS[mask.orientation])
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
