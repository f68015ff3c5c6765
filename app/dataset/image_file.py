"""The bytes of an image as records hold them: 8-bit RGB, the way up that viewers show it."""

import hashlib
import io
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from app.dataset import faults
from app.dataset.faults import Fault
from app.raster_image import MAX_PIXELS, ImageTooLarge, open_image
from app.settings import flag

_Result = TypeVar("_Result")

QUALITY = 95
MINIATURE = (18, 16)
"""Width and height of `ImageProbe.miniature`."""
_ORIENTATION = 0x0112
_LFS = b"version https://git-lfs"
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class StoredImage:
    """An image ready for a record.

    `data` is JPEG or PNG as `format` says, `width` x `height` pixels. `raw` is the (width, height) in the
    source file and `orientation` its EXIF orientation (1 to 8), which `data` has applied.
    """

    data: bytes
    format: str
    width: int
    height: int
    raw: tuple[int, int]
    orientation: int


@dataclass(frozen=True)
class ImageProbe:
    """What can be told of an image quickly.

    `raw` and `orientation` as in `Stored`, `digest` the SHA-256 of the file, `miniature` uint8 [16, 18]: the image
    in grey, the way up that viewers show it, squeezed to that size.
    """

    raw: tuple[int, int]
    orientation: int
    digest: bytes
    miniature: np.ndarray


class UnusableImage(Exception):
    """The image can't go into a record; `fault` says why."""

    def __init__(self, fault: Fault):
        super().__init__(fault.example)
        self.fault = fault


def store_image(source: Path | bytes, name: str, max_side: int = 0, max_pixels: int = MAX_PIXELS) -> StoredImage:
    """The image in `source`, a file or its bytes, its longer side at most `max_side` pixels (0: as it is).

    Baseline RGB JPEG and 8-bit RGB PNG that need no turning or shrinking keep their bytes; all else becomes
    JPEG. Every image is decoded once, kept JPEG at an eighth of its size, so a file that is cut short is
    found here and not by the trainer. Raises UnusableImage.
    """
    return _open(source, name, lambda image, data: _stored(image, data, max_side), max_pixels)


def read_pixels(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """An image, a file or its bytes, as uint8, height x width x 3, the way up that viewers show it.

    Raises UnusableImage.
    """
    return _open(source, name, lambda image, _: _pixels(image), max_pixels)


def stored_pixels(data: bytes, name: str) -> np.ndarray:
    """As `read_pixels`, of an image in a record: the way up that it is stored. Raises UnusableImage."""
    return _open(data, name, lambda image, _: np.asarray(image.convert("RGB")), sys.maxsize)


def probe_image(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> ImageProbe:
    """A quick look at an image, a file or its bytes: all of it is decoded, JPEG at a fraction of its size.

    Raises UnusableImage.
    """
    return _open(source, name, _probe, max_pixels)


def _open(source: Path | bytes, name: str, work: Callable[[Image.Image, bytes], _Result], max_pixels: int) -> _Result:
    """What `work` makes of the image in `source` and its bytes. Raises UnusableImage."""
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with warnings.catch_warnings():  # Of an image within an icon.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with open_image(data, max_pixels) as image:
                return work(image, data)
    except FileNotFoundError:
        raise UnusableImage(Fault(faults.IMAGE_MISSING, name)) from None
    except ImageTooLarge as error:
        raise UnusableImage(
            Fault(faults.IMAGE_TOO_LARGE, name, f"{error.what}, see {flag('max_image_pixels')}")
        ) from None
    except UnidentifiedImageError:
        reason = "only a pointer of Git LFS: git lfs pull" if data.startswith(_LFS) else "no image format"
        raise UnusableImage(Fault(faults.IMAGE_UNREADABLE, name, reason)) from None
    except Exception as error:
        # Pillow's decoders raise nearly anything on hostile bytes: SyntaxError, struct.error, IndexError ...
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UnusableImage(Fault(faults.IMAGE_UNREADABLE, name, reason)) from None


def _pixels(image: Image.Image) -> np.ndarray:
    orientation = _orientation(image)
    image.load()
    return np.asarray(_rgb(ImageOps.exif_transpose(image) if orientation != 1 else image))


def _probe(image: Image.Image, data: bytes) -> ImageProbe:
    raw, orientation = image.size, _orientation(image)
    if image.format == "JPEG":
        image.draft("L", (4 * MINIATURE[0], 4 * MINIATURE[1]))
    image.load()
    turned = ImageOps.exif_transpose(image) if orientation != 1 else image
    grey = turned if turned.mode == "L" else _rgb(turned).convert("L")
    small = grey.resize(MINIATURE, Image.Resampling.BOX)
    return ImageProbe(raw, orientation, hashlib.sha256(data).digest(), np.asarray(small))


def _stored(image: Image.Image, data: bytes, max_side: int) -> StoredImage:
    raw = image.size
    orientation = _orientation(image)
    view = raw[::-1] if orientation >= 5 else raw
    size = _shrunk(view, max_side)
    if size == view and orientation == 1 and _fit_as_is(image):
        kind = "png" if image.format == "PNG" else "jpeg"
        if kind == "jpeg":
            image.draft("RGB", (1, 1))
        image.load()
        return StoredImage(data, kind, *size, raw, orientation)
    if size != view and image.format == "JPEG":
        image.draft(image.mode, size[::-1] if orientation >= 5 else size)
    image.load()
    stored = _rgb(ImageOps.exif_transpose(image) if orientation != 1 else image)
    if stored.size != size:
        stored = stored.resize(size, Image.Resampling.HAMMING)
    buffer = io.BytesIO()
    stored.save(buffer, "JPEG", quality=QUALITY)
    return StoredImage(buffer.getvalue(), "jpeg", *size, raw, orientation)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # A broken EXIF block is no reason to lose the image; its reader raises nearly anything.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _fit_as_is(image: Image.Image) -> bool:
    if image.mode != "RGB":
        return False
    if image.format == "PNG":
        return "transparency" not in image.info
    return image.format == "JPEG" and not image.info.get("progressive")


def _shrunk(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    longer = max(size)
    if not max_side or longer <= max_side:
        return size
    return max(1, round(size[0] * max_side / longer)), max(1, round(size[1] * max_side / longer))


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB: 16 bits are scaled, floats stretched over their range; no transparency, as in TensorFlow."""
    if image.mode in _SIXTEEN_BIT:
        whole = np.array(image, np.uint32)
        whole.clip(0, 65535, out=whole)
        whole //= 257
        return Image.fromarray(whole.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32))
        span = max(float(np.ptp(values)), 1e-9)
        values -= values.min()  # in place: images are as large as memory allows
        values /= span
        values *= 255
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
