"""Files that other processes read and write, or a hand: written whole or not at all, read tolerantly."""

import codecs
import functools
import json
import logging
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from app import text_files
from app.errors import DetboxError, SettingsError
from app.humanize import format_count
from app.run.lenient_json import ANYTHING, Schema
from app.run.lock import try_lock

logger = logging.getLogger(__name__)

LEFT_FOR_SECONDS = 60.0
"""Age from which a staging folder that no process holds was left by one that was killed."""


_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
_said: set[Path] = set()
"""Files that were said to be left out."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that is renamed to it if the block ends well and removed if not.

    Works for a file and for a folder; a folder replaces only a missing or an existing folder, and is `flush`ed by who
    fills it, if it can't be made again. Removes as well what processes that were killed have left here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(path)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    target = staging / path.name
    try:
        with try_lock(staging):
            yield target
            if target.is_file():
                flush([target])
            if target.is_dir() and path.is_dir():
                path.rename(staging / "old")
            os.replace(target, path)
    finally:
        if not path.exists():  # A signal came between the two renames.
            with suppress(OSError):
                (staging / "old").rename(path)
        shutil.rmtree(staging, ignore_errors=True)


def _clear_leftovers(path: Path) -> None:
    for folder in path.parent.iterdir():
        if folder.name.startswith(f".{path.name}.") and folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):  # Another process clears it too.
                # Young ones may be a moment from being locked.
                if time.time() - folder.stat().st_mtime > LEFT_FOR_SECONDS:
                    with try_lock(folder) as is_free:
                        if is_free:
                            shutil.rmtree(folder, ignore_errors=True)


def flush(paths: Iterable[Path]) -> None:
    """Has the disk hold files, and the names in folders. Raises OSError where it can't hold a file.

    To be called before a name says that what it stands for is whole: else a machine that goes down, or a disk that
    fails, may leave the name and nothing under it.
    """
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            # Some file systems can't do it for folders.
            with suppress(OSError) if path.is_dir() else nullcontext():
                os.fsync(handle)
        finally:
            os.close(handle)


def refuse_foreign(
    folder: Path, is_own: Callable[[Path], bool], *, remedy: str, error: type[DetboxError] = SettingsError
) -> None:
    """Raises `error` if `folder`, whose files are to be replaced, is a file or holds one that is not `is_own(path)`."""
    if folder.is_dir():
        foreign = next((path.name for path in sorted(folder.iterdir()) if not is_own(path)), None)
        if foreign is not None:
            raise error(f"holds {foreign}, which would be replaced", where=str(folder), remedy=remedy)
    elif folder.exists():
        raise error("already exists, and is a file", where=str(folder), remedy=remedy)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path` atomically, as UTF-8; what UTF-8 has no bytes for (half of a pair) as `\\udc80`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        flush([Path(temporary)])
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)  # A signal may come when it has just got its name.
        raise


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON of `value`, null for a number that is not finite, which JSON does not have. Without `indent` it is ASCII."""
    dumps = functools.partial(json.dumps, indent=indent, ensure_ascii=indent is None, default=str)
    text = dumps(value)
    return dumps(_finite(value)) if "NaN" in text or "Infinity" in text else text


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    return [_finite(held) for held in value] if isinstance(value, (list, tuple)) else value


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` atomically, as indented JSON; null for a number that is not finite."""
    write_text(path, as_json(value, indent=2) + "\n")


def overwrite_json(path: Path, value: Any) -> None:
    """As `write_json` where a full disk has no room for another file: into the space that this one has.

    Not atomic: who reads meanwhile may meet half of it.
    """
    data = as_json(value).encode()
    with open(path, "r+b") as file:
        file.write(data)
        file.truncate()


def read_json(path: Path) -> Any | None:
    """What `path` holds; None if it is missing, or, which is said once, holds no JSON or can't be read."""
    try:
        return _parse(text_files.decode(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        _leave_out(path, f"can't be read ({error.strerror})")
    except (ValueError, RecursionError):
        _leave_out(path, "is no JSON")
    return None


def read_object(path: Path, schema: Schema = ANYTHING) -> dict[str, Any]:
    """The object that `path` holds, by `schema`; empty as `read_json` gives None, and if it does not fit."""
    value = read_json(path)
    fitting = schema.fit(value)
    if fitting is None and value is not None:
        _leave_out(path, schema.describe())
    return fitting or {}


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Appends one line of ASCII JSON in one write; a last line that a killed writer left unfinished is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = as_json(value) + "\n"
    with open(path, "a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write(line.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path, schema: Schema = ANYTHING, *, tail_bytes: int | None = None) -> list[dict[str, Any]]:
    """The JSON objects of a `.jsonl` file in order, by `schema`. What is not such a line is left out, said once.

    `tail_bytes`: only what the last so many bytes hold, which costs the same however long the file is.
    """
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = 0 if tail_bytes is None else max(end - tail_bytes, 0)
            file.seek(start)
            lines = file.read().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        _leave_out(path, f"can't be read ({error.strerror})")
        return []
    if start:
        del lines[0]  # It may be cut by the seam.
    fitting = [(line, schema.fit(parse_line(line))) for line in lines]
    # The last one is not ended: it is empty, or still being written.
    if bad := sum(row is None and bool(line.strip()) for line, row in fitting[:-1]):
        _leave_out(path, f"has {format_count(bad, 'line')} that can't be read")
    return [row for _, row in fitting if row is not None]


def parse_line(line: bytes) -> Any | None:
    """What a line of a `.jsonl` file holds, or None."""
    try:
        return _parse(line.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None


def _parse(text: str) -> Any:
    """The value of JSON text. Halves of surrogate pairs, which no file or terminal takes, become `\\udc80` in words."""
    value = json.loads(text)
    return _without_halves(value) if _HALVES.search(text) else value


def _without_halves(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_without_halves(key): _without_halves(held) for key, held in value.items()}
    return [_without_halves(held) for held in value] if isinstance(value, list) else value


def _leave_out(path: Path, why: str) -> None:
    """Says once in this process that `path`, or a part of it, is left out."""
    if path not in _said:
        _said.add(path)
        logger.warning("%s: %s: left out", path, why)


def bytes_under(folder: Path) -> int:
    """Bytes of the files under `folder`; files that are deleted meanwhile count as 0."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
