"""The image that an annotation names, and what to say where there is none, or another."""

from collections.abc import Generator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from app.dataset import faults
from app.dataset.faults import FIXED, Fault
from app.dataset.image_index import AmbiguousImage, ImageIndex, name_key
from app.raster_image import image_suffixes


def locate(
    said: str, index: ImageIndex, *, near: Path, where: str, split: str = "", remedy: str = ""
) -> Generator[Fault, None, Path | None]:
    """The image that the file `where`, which lies in `near`, calls `said`: a path, a name, or a name without suffix.

    Yields the fault where it is missing (with the `remedy`), ambiguous, or of another name.
    """
    # JSON can spell half characters, which no file can hold.
    shown = " ".join(said.encode("utf-8", errors="replace").decode().split())
    try:
        found = index.find(said, near=near, split=split) if shown else None
    except AmbiguousImage as error:
        yield Fault(faults.IMAGE_AMBIGUOUS, shown, ", ".join(error.args))
        return None
    if found is None:
        detail = f"named in {where}; {remedy}" if remedy else f"named in {where}"
        yield Fault(faults.IMAGE_MISSING, shown or "image without a name", detail)
        return None
    whole = PurePosixPath(said.strip()).suffix.lower() in image_suffixes()
    name = name_key(found.name if whole else found.stem)
    if name not in name_key(said) and name not in name_key(unquote(said)):
        yield Fault(faults.FILENAME_WRONG, where, f"{shown}, taken: {found.name}", FIXED)
    return found
