"""The installed OD API's record of its build, held against the patches of this checkout."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from app.errors import PatchMismatchError
from app.run.files import read_object

OF_CHECKOUT = Path(__file__).parents[2] / "third_party" / "object_detection" / "patches"
"""Of the checkout; an image has none, and is then checked against nothing but itself."""
BUILD_RECORD = "detbox_build.json"


def verify(folder: Path | None = None, patches: Path = OF_CHECKOUT) -> dict[str, Any]:
    """The build record of the installed OD API (in `folder`, or where Python finds it).

    Raises PatchMismatchError if there is none, or if it was not built with exactly `patches`.
    """
    reinstall = "install it again: scripts/uv sync --locked --reinstall-package object-detection"
    folder = folder or _installed()
    if folder is None:
        raise PatchMismatchError("object_detection is not installed", remedy=reinstall)
    record = read_object(folder / BUILD_RECORD)
    if not record:
        raise PatchMismatchError(f"{folder} is not detbox's build of the OD API", remedy=reinstall)
    if not patches.is_dir():
        return record
    built = {patch["name"]: patch["sha256"] for patch in record.get("patches", [])}
    wanted = _patch_hashes(patches)
    changed = sorted(name for name in built.keys() | wanted.keys() if built.get(name) != wanted.get(name))
    if changed or list(built) != list(wanted):
        what = ", ".join(changed) or "the order of the series"
        raise PatchMismatchError(f"the installed OD API was built before a change: {what}", remedy=reinstall)
    return record


def record() -> dict[str, Any]:
    """The build record of the installed OD API as it is, empty without one."""
    folder = _installed()
    return read_object(folder / BUILD_RECORD) if folder else {}


def _installed() -> Path | None:
    spec = importlib.util.find_spec("object_detection")
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


def _patch_hashes(patches: Path) -> dict[str, str]:
    lines = (patches / "series").read_text(encoding="utf-8").splitlines()
    names = [line.split("#")[0].strip() for line in lines]
    return {name: _sha256(patches / name) for name in names if name}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
