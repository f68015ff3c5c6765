"""The one table of what files of images and videos are called, for every reader and for `detect`."""

import functools
from pathlib import Path

VIDEOS = frozenset({
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm",
    ".wmv",
})  # fmt: skip
_NO_IMAGES = VIDEOS | {".eps", ".ps", ".pdf", ".h5", ".hdf", ".grib", ".bufr", ".wmf", ".emf"}
"""What Pillow lists among its formats and cannot show by itself."""
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
    from PIL import Image

    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in Image.OPEN) - _NO_IMAGES


def is_image(path: Path) -> bool:
    """Whether a file is an image: by its suffix, or by its first bytes where that tells nothing (`.jpg_large`)."""
    suffix = path.suffix.lower()
    if suffix in image_suffixes():
        return True
    if suffix in _KNOWN_OTHERS or suffix in _NO_IMAGES:
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
