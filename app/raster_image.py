"""Which files are images or videos, and how images are opened: for every reader, for `detect` and what shows one."""

import functools
import io
import warnings
from pathlib import Path

from PIL import Image

from app.errors import DatasetError
from app.settings import Settings, flag

FORMATS = (
    "AVIF", "BMP", "DDS", "DIB", "FITS", "GIF", "ICNS", "ICO", "IM", "JPEG", "JPEG2000", "MSP", "PCX", "PNG", "PPM",
    "PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip
"""Pillow's formats of pixels, by its names, that it decodes by itself. Others start programs (Ghostscript for EPS,
whatever the file is called), or are only known by name."""

MAX_PIXELS: int = Settings.max_image_pixels
"""Of an image, where no setting reaches."""
VIDEOS = frozenset({
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm",
    ".wmv",
})  # fmt: skip
_KNOWN_OTHERS = {
    ".xml", ".txt", ".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".pbtxt", ".pbtx", ".config", ".record",
    ".records", ".tfrecord", ".tfrecords", ".tfrec", ".md", ".html", ".htm", ".names", ".data", ".labels", ".cache",
    ".py", ".ipynb", ".sh", ".zip", ".tar", ".gz", ".npy", ".npz", ".pt", ".pb", ".onnx", ".log", ".ini",
}  # fmt: skip
"""Suffixes of files that lie in sets and are no images: they are not opened to find out."""
_SIGNATURES = (
    b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",
)  # fmt: skip
"""How files of JPEG, PNG, GIF, TIFF and JPEG 2000 begin; WebP, AVIF and BMP are told by more than that."""


@functools.cache
def image_suffixes() -> frozenset[str]:
    """The suffixes, in small letters and with their dot, of everything that Pillow reads by itself."""
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in (*FORMATS, "MPO")) - VIDEOS


class ImageTooLarge(DatasetError):
    """An image has more pixels than are decoded."""


def open_image(source: Path | bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image in a file or its bytes, of one of FORMATS, not decoded yet.

    Raises ImageTooLarge for one of more than `max_pixels`, and what Pillow raises.
    """
    Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow's own bound, at twice that, holds for an image within an icon too.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
        width, height = image.size
        if width * height <= max_pixels:
            return image
        image.close()
        size = f"{width}x{height}, "
    except Image.DecompressionBombError:
        size = ""
    raise ImageTooLarge(
        f"{size}more than {max_pixels / 1e6:.6g} million pixels",
        where="" if isinstance(source, bytes) else str(source),
        remedy=f"leave it out, or {flag('max_image_pixels')}",
    )


def is_image(path: Path) -> bool:
    """Whether a file is an image: by its suffix, or by its first bytes where that tells nothing (`.jpg_large`)."""
    suffix = path.suffix.lower()
    if suffix in image_suffixes():
        return True
    if suffix in _KNOWN_OTHERS or suffix in VIDEOS:
        return False
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except OSError:
        return False
    return (
        start.startswith(_SIGNATURES)
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or start[4:12] == b"ftypavif"
        or (start[:2] == b"BM" and start[6:10] == bytes(4))
    )
