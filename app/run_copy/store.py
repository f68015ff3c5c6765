"""The place that a run is copied to: an object store, or a folder that is used as one."""

import asyncio
import contextlib
import datetime
import functools
import re
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.errors import SettingsError
from app.run.files import flush, write_text
from app.settings import flag

CLOUDS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of the machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or a service account of the machine",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or an identity of the machine",
}
"""Schemes of addresses, and what gives the right to write there."""
EXAMPLE = "s3://BUCKET/PREFIX"
MANIFEST = "manifest.json"
PARTS = "parts"
REQUEST_TIMEOUT = datetime.timedelta(seconds=120)
"""For a part of 8 MiB, on a line of 0.6 Mbit/s."""
CONNECT_TIMEOUT = datetime.timedelta(seconds=5)
RETRIES = 4
RETRY_TIMEOUT = datetime.timedelta(seconds=60)
_QUERY = re.compile(r"\?\S*")
"""Of an address in an error: it may hold a signature."""
_METADATA = re.compile(r"/latest/(api|meta-data)/|/computeMetadata/|/metadata/identity/")
"""Of the services that give a machine of a cloud its rights: where one is asked, there are no others."""


class Unreachable(SettingsError):
    """The store does not answer; it may again."""


class Overtaken(SettingsError):
    """Another machine copies this run now."""


class CopyStore:
    """The objects of one run's copy. Every method raises SettingsError, Unreachable where it may pass."""

    def __init__(self, url: str, run_name: str):
        """Touches nothing. Raises SettingsError for an address that is none."""
        scheme = _scheme(url)
        folder = None if scheme in CLOUDS else _folder(url)
        self.where = str(folder / run_name) if folder else f"{url.rstrip('/')}/{run_name}"
        self.folder = folder and folder / run_name
        """None for an object store."""
        self._scheme = scheme
        with self._errors("opened"):
            self._store = _open(self.where, self.folder)

    def probe(self) -> None:
        """Writes an object and removes it."""
        name = f"probe-{uuid.uuid4().hex}"
        with self._errors("written"):
            self._store.put(name, b"detbox")
            self._store.delete(name)

    def read_manifest(self, most: int) -> tuple[bytes, dict[str, Any]] | None:
        """The manifest and its version, for `replace_manifest`; None if there is none."""
        with self._errors("read"):
            try:
                found = self._store.get(MANIFEST)
            except FileNotFoundError:
                return None
            meta = found.meta
            if meta["size"] > most:
                raise SettingsError(f"a manifest of {meta['size']} bytes", where=self.where, remedy=flag("sync_to"))
            return bytes(found.bytes()), _version(meta)

    def replace_manifest(self, data: bytes, version: dict[str, Any] | None) -> dict[str, Any]:
        """Writes the manifest if that which is there is still of `version`, None: none; its new version.

        Raises Overtaken if it is not.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._errors("written"):
            if self.folder is None:
                try:
                    mode: Any = "create" if version is None else version
                    return _version(self._store.put(MANIFEST, data, mode=mode, use_multipart=False))
                except (AlreadyExistsError, PreconditionError):
                    raise Overtaken("has changed meanwhile", where=self.where) from None
            if self._manifest_version() != version:
                raise Overtaken("has changed meanwhile", where=self.where)
            write_text(self.folder / MANIFEST, data.decode())
            return self._manifest_version() or {}

    def _manifest_version(self) -> dict[str, Any] | None:
        try:
            return _version(self._store.head(MANIFEST))
        except FileNotFoundError:
            return None

    def start_put(self, name: str, data: bytes) -> "Future[None]":
        """Begins to write a part, whole or not at all."""
        return asyncio.run_coroutine_threadsafe(self._put(name, data), _loop())

    async def _put(self, name: str, data: bytes) -> None:
        with self._errors("written"):
            await self._store.put_async(_part_path(name), data, use_multipart=False)
            if self.folder:
                flush([self.folder / _part_path(name)])

    def start_get(self, name: str, size: int) -> "Future[bytes | None]":
        """Begins to read a part; None if it is missing, or not of `size` bytes."""
        return asyncio.run_coroutine_threadsafe(self._get(name, size), _loop())

    async def _get(self, name: str, size: int) -> bytes | None:
        with self._errors("read"):
            try:
                found = await self._store.get_async(_part_path(name))
            except FileNotFoundError:
                return None
            return bytes(await found.bytes_async()) if found.meta["size"] == size else None

    def list_parts(self) -> dict[str, tuple[int, float]]:
        """Name to bytes and Unix time of every part that is there."""
        with self._errors("listed"):
            found = self._store.list(PARTS, chunk_size=1000)
            return {
                row["path"].rpartition("/")[2]: (row["size"], row["last_modified"].timestamp())
                for rows in found
                for row in rows
            }

    def delete_parts(self, names: Sequence[str]) -> None:
        """Deletes parts; one that is gone is gone."""
        with self._errors("deleted"):
            for name in names if self.folder else ():
                with contextlib.suppress(FileNotFoundError):
                    self._store.delete(_part_path(name))
            if names and not self.folder:
                with contextlib.suppress(FileNotFoundError):
                    self._store.delete([_part_path(name) for name in names])

    @contextlib.contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

        try:
            yield
        except SettingsError:
            raise
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            raise self._refusal(f"can't be {done}: {_reason(error)}", CLOUDS.get(self._scheme, "")) from None
        except (FileNotFoundError, NotADirectoryError, FileExistsError):
            what = "there is no such bucket" if self._scheme in CLOUDS else "it is no folder"
            raise self._refusal(f"can't be {done}: {what}") from None
        except BaseException as error:
            # What the library did not foresee is neither an Exception nor one of its own.
            if not isinstance(error, (BaseError, OSError, ValueError)) and type(error).__name__ != "PanicException":
                raise
            reason = _reason(error)
            if _METADATA.search(reason):
                raise self._refusal("there are no credentials for it", CLOUDS[self._scheme]) from None
            raise Unreachable(f"can't be {done}: {reason}", where=self.where, remedy=flag("sync_to")) from None

    def _refusal(self, what: str, remedy: str = "") -> SettingsError:
        return SettingsError(what, where=self.where, remedy=remedy or flag("sync_to", EXAMPLE))


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """Where parts are on their way, in a thread that no end of the process waits for."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="copy", daemon=True).start()
    return loop


def _scheme(url: str) -> str:
    """The scheme of an address, `file` for a folder. Raises SettingsError for one that is not taken."""
    found = re.match(r"([a-zA-Z][\w+.-]*)://", url)
    scheme = found[1].lower() if found else "file"
    try:
        parts = urlsplit(url) if found else urlsplit("")
        has_secret = parts.password is not None or "@" in parts.netloc or bool(parts.query)
        is_place = scheme == "file" or bool(parts.netloc)
    except ValueError:
        has_secret, is_place = False, False
    if has_secret:
        raise SettingsError(
            "an address that holds credentials would be written into the run and its logs",
            where=flag("sync_to"),
            remedy=f"leave them out, and set {CLOUDS.get(scheme, 'them in the environment')}",
        )
    if scheme not in (*CLOUDS, "file") or not is_place:
        raise SettingsError(
            f"{url!r} is no address to copy a run to",
            where=flag("sync_to"),
            remedy=f"{EXAMPLE}, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, or a folder",
        )
    return scheme


def _folder(url: str) -> Path:
    path = Path(url.removeprefix("file://")).expanduser()
    return path.resolve()


def _open(where: str, folder: Path | None) -> Any:
    from obstore.store import LocalStore, from_url

    if folder:
        return LocalStore(folder, mkdir=True)
    return from_url(
        where,
        # Only an endpoint that was given as http:// is spoken to without TLS.
        client_options={"timeout": REQUEST_TIMEOUT, "connect_timeout": CONNECT_TIMEOUT, "allow_http": True},
        retry_config={"max_retries": RETRIES, "retry_timeout": RETRY_TIMEOUT},
    )


def _part_path(name: str) -> str:
    return f"{PARTS}/{name[:2]}/{name}"


def _version(meta: Any) -> dict[str, Any]:
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name)}


def _reason(error: BaseException) -> str:
    """The first line of an error, without what may be secret."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return _QUERY.sub("", lines[0])[:300]
