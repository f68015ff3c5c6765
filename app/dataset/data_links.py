"""Which symbolic links of a data set are followed: those within its folder, others only if they are asked for."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from app.errors import DatasetError
from app.humanize import format_count
from app.settings import flag

log = logging.getLogger(__name__)


class DataLinks:
    """The links of the set in the folder `root`; `follow`: those that lead out of it as well."""

    def __init__(self, root: Path, follow: bool):
        self._root, self._follow = os.path.realpath(root), follow
        self._folders: dict[str, str] = {}
        self._left: dict[str, str] = {}

    def allows(self, path: str) -> bool:
        """Whether a path leads to where the set may be read. Links to nowhere are left to the caller."""
        if self._follow:
            return True
        above, name = os.path.split(path)
        if above not in self._folders:
            self._folders[above] = os.path.realpath(above)
        real = os.path.join(self._folders[above], name)
        if os.path.islink(path):
            real = os.path.realpath(path)
        if os.path.join(real, "").startswith(os.path.join(self._root, "")):
            return True
        if os.path.exists(path):
            self._left[path] = real
        return False

    def __bool__(self) -> bool:
        """Whether any was not followed."""
        return bool(self._left)

    def __str__(self) -> str:
        path, target = min(self._left.items())
        count = format_count(len(self._left), "link")
        return f"{count} out of the data set not followed, e.g. {os.path.relpath(path, self._root)} to {target}"


_links: ContextVar[DataLinks | None] = ContextVar("links", default=None)


def is_allowed(path: str) -> bool:
    """Whether the set that is being read, if one is, may be read there."""
    links = _links.get()
    return links is None or links.allows(path)


@contextmanager
def reading(root: Path, *, follow: bool) -> Iterator[None]:
    """The set in the folder `root` is read in this block. At its end is said which links were not followed.

    A DatasetError from the block names them and the flag, as what they lead to may be what is missing.
    """
    links = DataLinks(root, follow)
    token = _links.set(links)
    remedy = flag("follow_links", "true")
    try:
        yield
    except DatasetError as error:
        if not links:
            raise
        remedy = f"{remedy} follows them; else {error.remedy}" if error.remedy else remedy
        raise DatasetError(f"{error.what}; {links}", where=error.where, remedy=remedy) from error
    finally:
        _links.reset(token)
    if links:
        log.warning("data set: %s -> %s", links, remedy)
