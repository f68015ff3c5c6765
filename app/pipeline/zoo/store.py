"""The zoo's models on this machine: one folder a model, in the zoo's own layout.

Upstream publishes no checksums. The sha256 of an archive is recorded when it is first fetched, and an archive of the
same name that has another is refused from then on: trust on first use. `SHA256SUMS` is a file of sha256sum(1)'s, so a
team may put one there before the first fetch.
"""

import contextlib
import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import text_files
from app.errors import DetboxError, SettingsError
from app.pipeline.zoo import catalogue
from app.pipeline.zoo.catalogue import Model
from app.pipeline.zoo.download import MIRROR, NotThere, Progress, download, without_password
from app.pipeline.zoo.unpack import unpack
from app.run.directory import PIPELINE_CONFIG
from app.run.files import read_object, replacing, write_json
from app.run.lock import hold_lock
from app.settings import flag

logger = logging.getLogger(__name__)

RECORD = "zoo.json"
SUMS = "SHA256SUMS"
WORK = ".downloads"


@dataclass(frozen=True)
class Stored:
    """A model in its folder. `record`: name, url, bytes, sha256, what that is of, time; empty if put there by hand."""

    folder: Path
    record: dict[str, Any]
    is_new: bool


def stored(model: Model, zoo_dir: Path) -> Stored | None:
    """The model, if it is under `zoo_dir`. It appears there whole or not at all."""
    folder = zoo_dir / model.name
    if not _is_model(folder):
        return None
    return Stored(folder, read_object(folder / RECORD), is_new=False)


def record_of(checkpoint: str) -> dict[str, Any] | None:
    """What was recorded of the zoo's model that the checkpoint prefix is of, or None if it is of none."""
    folder = Path(checkpoint).parent
    for place in (folder, folder.parent):
        if checkpoint and (record := read_object(place / RECORD)):
            return record
    return None


def fetch(
    model: Model, zoo_dir: Path, mirror: str, *,
    progress: Progress = lambda done, total: None, pause: Callable[[float], None] = time.sleep,
) -> Stored:  # fmt: skip
    """The model under `zoo_dir`, brought from `mirror` (a URL or a folder; empty: upstream) if it is not there yet.

    Raises DetboxError where it can't be had, is refused, or is another than was recorded; SettingsError for a mirror
    that is none.
    """
    if there := stored(model, zoo_dir):
        return there
    try:
        (zoo_dir / WORK).mkdir(parents=True, exist_ok=True)
        with hold_lock(zoo_dir / WORK / f"{model.name}.lock", None, wait_for=f"another process to fetch {model.name}"):
            return stored(model, zoo_dir) or _bring(model, zoo_dir, mirror, progress, pause)
    except OSError as error:
        raise DetboxError(
            f"can't be written: {error.strerror or error}", where=str(zoo_dir), remedy=flag("zoo_dir")
        ) from error


def _bring(model: Model, zoo_dir: Path, mirror: str, progress: Progress, pause: Callable[[float], None]) -> Stored:
    target = zoo_dir / model.name
    for left in zoo_dir.glob(f".{model.name}.*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    if mirror and "://" not in mirror:
        source = _in_folder(model, Path(mirror))
        if source.is_dir():
            return _copy(model, source, target)
        return _unpack(model, source, str(source.resolve()), target)
    archive = zoo_dir / WORK / model.archive
    try:
        url = _download(model, mirror or catalogue.UPSTREAM, archive, progress, pause)
        return _unpack(model, archive, url, target)
    finally:
        archive.unlink(missing_ok=True)


def _download(model: Model, base: str, archive: Path, progress: Progress, pause: Callable[[float], None]) -> str:
    """Brings the archive from upstream's layout under `base`, or from `base` itself. Returns the address."""
    base = base.rstrip("/")
    for url in (f"{base}/{model.date}/{model.archive}", f"{base}/{model.archive}"):
        with contextlib.suppress(NotThere):
            logger.info("zoo | %s", without_password(url))
            download(url, archive, progress=progress, pause=pause)
            return without_password(url)
    raise NotThere(
        f"has neither {model.date}/{model.archive} nor {model.archive}", where=without_password(base), remedy=MIRROR
    )


def _in_folder(model: Model, folder: Path) -> Path:
    """The unpacked model or the archive in a mirror that is a folder."""
    if not folder.is_dir():
        raise SettingsError("is no folder", where=str(folder), remedy=f"a folder or a URL: {MIRROR}")
    if _is_model(folder / model.name):
        return folder / model.name
    for path in (folder / model.archive, folder / model.date / model.archive):
        if path.is_file():
            return path
    raise NotThere(f"has neither {model.archive} nor a folder {model.name}", where=str(folder), remedy=MIRROR)


def _unpack(model: Model, archive: Path, url: str, target: Path) -> Stored:
    with open(archive, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _compare(target.parent / SUMS, model.archive, digest)
    with replacing(target) as fresh:
        # Beside `fresh`, and gone with it.
        whole = fresh.with_name("unpacked")
        unpack(archive, whole)
        _find_model(whole, archive).rename(fresh)
        return _record(model, target, fresh, url, archive.stat().st_size, digest, "archive")


def _copy(model: Model, source: Path, target: Path) -> Stored:
    """Copies an unpacked model. Its sha256 is that of what `sha256sum` would print of its files, sorted by path."""
    lines, size = [], 0
    with replacing(target) as fresh:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            name = path.relative_to(source).as_posix()
            if name != RECORD:
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, fresh / name)
                with open(fresh / name, "rb") as file:
                    lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
                size += (fresh / name).stat().st_size
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        return _record(model, target, fresh, str(source.resolve()), size, digest, "folder")


def _record(model: Model, target: Path, fresh: Path, url: str, size: int, digest: str, of: str) -> Stored:
    record = {"name": model.name, "url": url, "bytes": size, "sha256": digest, "sha256_of": of, "time": _now()}
    write_json(fresh / RECORD, record)
    if of == "archive":
        _remember(target.parent / SUMS, model.archive, digest)
    return Stored(target, record, is_new=True)


def _find_model(whole: Path, archive: Path) -> Path:
    """The folder of the model in what was unpacked: not every archive's is named like the archive."""
    found = sorted((path.parent for path in whole.rglob(PIPELINE_CONFIG)), key=lambda path: len(path.parts))
    if not found or not _is_model(found[0]):
        what = "checkpoint" if found else PIPELINE_CONFIG
        raise DetboxError(f"holds no {what}", where=archive.name, remedy=f"fetch it from elsewhere: {MIRROR}")
    return found[0]


def _is_model(folder: Path) -> bool:
    return (folder / PIPELINE_CONFIG).is_file() and any(folder.glob("checkpoint/*.index"))


def _compare(sums: Path, archive: str, digest: str) -> None:
    known = _sums(sums).get(archive, digest)
    if known != digest:
        raise DetboxError(
            f"has sha256 {digest}, but {known} is on record from an earlier fetch",
            where=archive,
            remedy=f"if the new one is right, take its line out of {sums}; else fetch it from elsewhere: {MIRROR}",
        )


def _remember(sums: Path, archive: str, digest: str) -> None:
    if archive not in _sums(sums):
        before = sums.read_bytes() if sums.is_file() else b""
        joint = "\n" if before and not before.endswith(b"\n") else ""  # of a file that was written by hand
        with open(sums, "a", encoding="utf-8") as file:
            file.write(f"{joint}{digest}  {archive}\n")


def _sums(path: Path) -> dict[str, str]:
    """Names to digests of a file such as sha256sum writes."""
    if not path.is_file():
        return {}
    rows = [line.split(maxsplit=1) for line in text_files.lines(path)]
    return {row[1].lstrip("*"): row[0].lower() for row in rows if len(row) == 2}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
