"""Files that other processes read: written whole or not at all, read tolerantly."""

import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app.errors import DetboxError, SettingsError
from app.run.lock import try_lock

LEFT_FOR_SECONDS = 60.0
"""Age from which a staging folder that no process holds was left by one that was killed."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that is renamed to it if the block ends well and removed if not.

    Works for a file and for a folder; a folder replaces only a missing or an existing folder. Removes as well what
    processes that were killed have left here.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(path)
    staging = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    target = staging / path.name
    try:
        with try_lock(staging):
            yield target
            if target.is_dir() and path.is_dir():
                path.rename(staging / "old")
            os.replace(target, path)
    finally:
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
    """Writes `text` to `path` atomically, as UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON of `value`, null for a number that is not finite, which JSON does not have."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    if "NaN" in text or "Infinity" in text:
        return json.dumps(_finite(value), indent=indent, ensure_ascii=False, default=str)
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    return [_finite(held) for held in value] if isinstance(value, (list, tuple)) else value


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` atomically, as indented JSON; null for a number that is not finite."""
    write_text(path, as_json(value, indent=2) + "\n")


def read_json(path: Path) -> Any | None:
    """What `path` holds, or None if it is missing (or, half-copied by another tool, does not parse)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Appends one JSON line in one write; a last line that a killed writer left unfinished is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = as_json(value) + "\n"
    with open(path, "a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write(line.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path, *, tail_bytes: int | None = None) -> list[dict[str, Any]]:
    """The JSON objects of a `.jsonl` file in order; lines that do not parse (cut short) are skipped.

    `tail_bytes`: only what the last so many bytes hold, which costs the same however long the file is.
    """
    try:
        with open(path, "rb") as file:
            if tail_bytes is not None:
                file.seek(max(file.seek(0, os.SEEK_END) - tail_bytes, 0))
            text = file.read().decode("utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    rows = []
    for line in text.split("\n"):  # Names of classes may hold what else Python takes for the end of a line.
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
