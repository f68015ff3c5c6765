"""Unpacking of an archive that nobody has vouched for.

Only folders and plain files are taken, none outside the target, within bounds on their number and size. The files'
owners, times and modes are not: everyone may read them, as the services may run as different users.
"""

import errno
import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from app.errors import DetboxError
from app.settings import flag

MAX_BYTES = 8 << 30
"""Unpacked bytes at most; the zoo's largest models take about 2 GB."""
MAX_MEMBERS = 2000
"""Entries at most; a model of the zoo has about a dozen."""
MAX_HEADER = 1 << 20
"""Bytes that tarfile may read at once: an extended header may claim gigabytes, which it would take into memory."""


class _Stream(gzip.GzipFile):
    """A gzip stream that refuses to give more than MAX_HEADER bytes at once."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"an entry's header claims {size} bytes")
        return super().read(size)


def unpack(
    archive: Path, target: Path, *, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS,
    on_bytes: Callable[[int], None] = lambda done: None,
) -> None:  # fmt: skip
    """Unpacks a .tar.gz into the new folder `target`. DetboxError, with the entry's name, where it is refused.

    `on_bytes` hears the unpacked bytes so far. What was unpacked before a refusal is left to the caller.
    """
    target.mkdir(parents=True)
    try:
        # Opened with no look at other compressions: the zoo has only gzip.
        with _Stream(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            taken = _checked(tar, archive, max_bytes, max_members, on_bytes)
            tar.extractall(target, members=taken, filter="data")
            _read_to_end(stream)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError) as error:
        raise _refusal(archive, f"is no whole .tar.gz: {error}") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # A name that is too long, or already exists.
            raise _refusal(archive, f"can't be unpacked: {error.strerror or error}") from error
        raise DetboxError(
            "can't be unpacked: the disk is full", where=str(target.parent), remedy=f"free space: {flag('zoo_dir')}"
        ) from error
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _checked(
    tar: tarfile.TarFile, archive: Path, max_bytes: int, max_members: int, on_bytes: Callable[[int], None]
) -> Iterator[tarfile.TarInfo]:
    """The members one by one, each checked before it is unpacked."""
    total = 0
    for number, member in enumerate(tar, start=1):
        what = _fault(member)
        total += member.size
        if what:
            raise _refusal(archive, f"entry {member.name!r} {what}")
        if number > max_members:
            raise _refusal(archive, f"has more than {max_members} entries")
        if total > max_bytes:
            raise _refusal(archive, f"unpacks to more than {max_bytes} bytes")
        yield member
        on_bytes(total)


def _read_to_end(stream: _Stream) -> None:
    """Reads what follows the last entry, as gzip's checksum is behind it."""
    if len(stream.read(MAX_HEADER)) == MAX_HEADER:
        raise tarfile.ReadError("too much follows its last entry")


def _fault(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    if member.issym() or member.islnk():
        return f"is a link, to {member.linkname!r}"
    if member.issparse() or not (member.isreg() or member.isdir()):
        return "is neither a folder nor a plain file"
    if "\0" in member.name:
        return "has a NUL in its name"
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        return "leads out of the folder"
    return ""


def _refusal(archive: Path, what: str) -> DetboxError:
    return DetboxError(what, where=archive.name, remedy=f"fetch it from elsewhere: {flag('zoo_mirror')}")
