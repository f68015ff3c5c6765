"""What a copy of a run consists of: each file with its size, its time and the hashes of its parts."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from app.errors import SettingsError
from app.run.directory import SAMPLE_PREFIX, Run
from app.run.lenient_json import count, file_name, moment, text
from app.settings import flag

FORMAT = 1
"""To be raised when older versions could not restore what is written."""
PART_BYTES = 8 * 2**20
"""Of a file, that are one object: a log that grows is copied from its last part on."""
MOST_BYTES = 2**27
"""Of a manifest: that of a run of 10 TB has so many."""
_PART = re.compile(r"[0-9a-f]{64}")
_LONGEST_PATH = 1024
_RUN = Run(Path())
_OF_THIS_MACHINE = {
    path.name for path in (_RUN.status("up"), _RUN.status("tensorboard"), _RUN.copy_state, _RUN.stop_request)
}
"""What the folder of states has of processes that no other machine can reach."""
_LAST_TIME = 2**62
"""Nanoseconds; 2116."""


@dataclass(frozen=True)
class CopiedFile:
    """A file of the run: path below its folder, bytes, time of change, SHA-256 of each part."""

    path: str
    size: int
    mtime_ns: int
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """A whole state of a run.

    `generation`: counts on with each. `step`: of the newest checkpoint, 0 without any. `time`: Unix seconds when
    reading the files began. `writer`: the folder that it is a copy of, which no other has; `host`: where that was.
    """

    files: tuple[CopiedFile, ...]
    generation: int
    step: int
    time: float
    writer: str
    host: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def parts(self) -> set[str]:
        """The names of all parts."""
        return {part for file in self.files for part in file.parts}

    def serialize(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":")).encode()


def part_name(data: bytes | memoryview) -> str:
    """The name of a part: what is in it."""
    return hashlib.sha256(data).hexdigest()


def part_sizes(size: int) -> Iterator[int]:
    """Bytes of each part of a file of `size` bytes."""
    whole, rest = divmod(size, PART_BYTES)
    yield from (PART_BYTES for _ in range(whole))
    if rest:
        yield rest


def is_copied(path: PurePath) -> bool:
    """Whether the file of that path below the run's folder belongs to a copy of the run.

    Not what is half written or one process's own (hidden names, locks), what tells of a process of this machine, what
    can't be read, and the built-in sample, which is made again. Nor what has a name that not every system takes.
    """
    parts, name = path.parts, str(path)
    if not parts or path.is_absolute() or not all(map(file_name, parts)):
        return False
    if not name.isprintable() or len(name.encode(errors="replace")) > _LONGEST_PATH:
        return False
    if (
        any(part.startswith(".") for part in parts)
        or parts[0].startswith(SAMPLE_PREFIX)
        or parts[0] == _RUN.broken.name
    ):
        return False
    return not (parts[0] == _RUN.status_dir.name and (path.suffix == ".lock" or parts[-1] in _OF_THIS_MACHINE))


def parse(data: bytes, where: str) -> Manifest:
    """The manifest that `data` holds. Raises SettingsError for anything else: what it names becomes files."""
    try:
        value = json.loads(data.decode())
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            found = value.get("format") if isinstance(value, dict) else None
            what = f"is of format {found}, this detbox reads {FORMAT}" if count(found) else "is no manifest of a copy"
            raise refusal(what, where)
        files = tuple(_parse_file(row) for row in value["files"])
        _refuse_clashes(file.path for file in files)
        return Manifest(
            files=files,
            generation=_need(count(value["generation"])),
            step=_need(count(value["step"])),
            time=_need(moment(value["time"])),
            writer=_need(text(value["writer"])),
            host=_need(text(value["host"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise refusal("is damaged", where) from None


def refusal(what: str, where: str) -> SettingsError:
    """The error for a copy that can't be restored."""
    return SettingsError(
        what, where=where, remedy=f"remove this copy, or choose another: {flag('sync_to')}, {flag('run', 'NAME')}"
    )


def _need(value: Any) -> Any:
    if value is None:
        raise ValueError
    return value


def _parse_file(row: Any) -> CopiedFile:
    path, size, mtime_ns, parts = row["path"], _need(count(row["size"])), row["mtime_ns"], tuple(row["parts"])
    if path != str(PurePosixPath(path)) or not is_copied(PurePosixPath(path)):
        raise ValueError
    if not (isinstance(mtime_ns, int) and 0 <= mtime_ns <= _LAST_TIME):
        raise ValueError
    if len(parts) != len(list(part_sizes(size))) or not all(map(_PART.fullmatch, parts)):
        raise ValueError
    return CopiedFile(path, size, mtime_ns, parts)


def _refuse_clashes(paths: Iterable[str]) -> None:
    """Raises ValueError for a path that is there twice, or is a file as well as a folder."""
    seen: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        if path in seen:
            raise ValueError
        seen.add(path)
        folders |= {str(parent) for parent in PurePosixPath(path).parents}
    if seen & folders:
        raise ValueError
