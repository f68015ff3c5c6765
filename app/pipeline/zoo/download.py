"""One file by HTTP, in as many parts as the connection breaks it into."""

import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from app.errors import DetboxError, SettingsError
from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, count, text
from app.settings import flag

ATTEMPTS = 5
"""Tries in a row that bring nothing, after which it is given up."""
PAUSE_SECONDS = 1.0
"""Before the second try; twice as long before each further one."""
TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between two pieces."""
PIECE = 1 << 20
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""Answers that may be others in a moment (RFC 9110)."""
MIRROR = flag("zoo_mirror")
PART = Schema({"url": text, "total": count, "validator": text})
"""The card of a part."""

Progress = Callable[[int, int], None]
"""Called with (bytes here, bytes in all); 0 in all where the server does not say."""


class NotThere(DetboxError):
    """The server has no such file."""


class _Broken(Exception):
    """The connection, or the server for the moment, failed; `what` says how."""


@dataclass(frozen=True)
class _Part:
    """What is known of a file of which the beginning is here."""

    size: int = 0
    """Bytes here."""
    total: int = 0
    validator: str = ""
    """The server's strong ETag, else its Last-Modified; without one a second part may be of another file."""


def without_password(url: str) -> str:
    """`url` as it may be shown and recorded."""
    try:
        parts = urlsplit(url)
    except ValueError:  # Half an IPv6 address; `download` refuses it.
        return url.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def download(
    url: str,
    target: Path,
    *,
    progress: Progress = lambda done, total: None,
    attempts: int = ATTEMPTS,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Brings the file at `url` to `target`, going on where an earlier try ended. Returns its size in bytes.

    The beginning of an unfinished file is `target` with `.part`, beside it what the server said of it. It is gone on
    with only if the server says that the file is still the same (If-Range). Raises NotThere on 404 or 410,
    DetboxError if the file can't be had or what came is not as long as the server said, SettingsError if `url` is not
    HTTP's.
    """
    try:
        is_one = urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:
        is_one = False
    if not is_one:
        raise SettingsError(f"is no http:// or https:// address: {without_password(url)}", remedy=MIRROR)
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with requests.Session() as session:
        failures, before = 0, _read(part, url).size
        while True:
            try:
                return _finish(_get(session, url, part, progress), part, target)
            except _Broken as error:
                here = _read(part, url).size
                failures = 1 if here > before else failures + 1
                before = here
                if failures >= attempts:
                    raise _give_up(url, str(error), here) from error
                pause(PAUSE_SECONDS * 2 ** (failures - 1))


def _give_up(url: str, what: str, here: int) -> DetboxError:
    return DetboxError(
        f"{what}; {here} bytes are here", where=without_password(url),
        remedy=f"the same command goes on from there; or fetch it from elsewhere: {MIRROR}",
    )  # fmt: skip


def _get(session: requests.Session, url: str, part: Path, progress: Progress) -> _Part:
    """One request, written to `part` as it comes. Returns what is known of the whole file."""
    have = _read(part, url)
    # Bytes as they are: a server that takes .gz for an encoding must not have it undone.
    headers = {"Accept-Encoding": "identity"}
    if have.size:
        headers |= {"Range": f"bytes={have.size}-", "If-Range": have.validator}
    try:
        answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise SettingsError(f"can't be fetched: {error}", where=without_password(url), remedy=MIRROR) from error
    except requests.RequestException as error:
        raise _Broken(f"no answer: {_reason(error)}") from error
    with closing(answer):
        check_way(url, answer.url)
        if answer.status_code == 416 and have.size == have.total:
            return have
        whole = _expected(answer, have, url)
        if whole is None:
            _forget(part)
            raise _Broken("the server gave another part than asked for")
        return _write(answer, part, whole, url, progress)


def check_way(asked: str, answered: str) -> None:
    """Refuses a redirect away from TLS, which is all that vouches for a first fetch. Raises DetboxError."""
    if urlsplit(asked).scheme == "https" and urlsplit(answered).scheme != "https":
        raise DetboxError(f"redirects to {without_password(answered)}", where=without_password(asked), remedy=MIRROR)


def _expected(answer: requests.Response, have: _Part, url: str) -> _Part | None:
    """What the answer is of: with the size that is here before it, and that of the whole. None: of no use."""
    status, headers = answer.status_code, answer.headers
    if status == 200:
        length = headers.get("Content-Length", "")
        return _Part(0, int(length) if length.isdigit() else 0, _validator(headers))
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
        same = headers.get("ETag", have.validator) == have.validator or not have.validator.startswith('"')
        return have if same and match and [int(match[1]), int(match[2])] == [have.size, have.total] else None
    if status == 416:
        return None
    if status in (404, 410):
        raise NotThere("there is no such file", where=without_password(url), remedy=MIRROR)
    if status in PASSING:
        raise _Broken(f"the server answers {status} {answer.reason}")
    raise DetboxError(f"the server answers {status} {answer.reason}", where=without_password(url), remedy=MIRROR)


def _write(answer: requests.Response, part: Path, whole: _Part, url: str, progress: Progress) -> _Part:
    free = shutil.disk_usage(part.parent).free
    if whole.total - whole.size > free:
        what = f"{whole.total - whole.size} bytes are to come, {free} are free"
        raise DetboxError(what, where=str(part.parent), remedy=f"free space, or {flag('zoo_dir')}")
    if not whole.size:
        part.unlink(missing_ok=True)
        write_json(_card(part), {"url": without_password(url), "total": whole.total, "validator": whole.validator})
    size = whole.size
    progress(size, whole.total)
    with open(part, "ab") as file:
        try:
            for piece in answer.raw.stream(PIECE, decode_content=False):
                file.write(piece)
                size += len(piece)
                progress(size, whole.total)
        except urllib3.exceptions.HTTPError as error:
            raise _Broken(f"the connection broke: {_reason(error)}") from error
        file.flush()
        os.fsync(file.fileno())
    return _Part(size, whole.total or size, whole.validator)


def _finish(whole: _Part, part: Path, target: Path) -> int:
    if whole.size < whole.total:
        raise _Broken(f"{whole.size} of {whole.total} bytes came")
    os.replace(part, target)
    _card(part).unlink(missing_ok=True)
    return whole.size


def _read(part: Path, url: str) -> _Part:
    """What is here of `url`, forgotten where it is of another address or could not be gone on with."""
    card = read_object(_card(part), PART)
    size = part.stat().st_size if part.is_file() else 0
    if size and card.get("url") == without_password(url) and card.get("validator") and size <= card.get("total", 0):
        return _Part(size, card["total"], card["validator"])
    if size:
        _forget(part)
    return _Part()


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _card(part).unlink(missing_ok=True)


def _card(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _validator(headers: requests.structures.CaseInsensitiveDict[str]) -> str:
    tag = headers.get("ETag", "")
    # If-Range takes no weak tag: RFC 9110, 13.1.5.
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _reason(error: BaseException) -> str:
    """The innermost cause of an error of requests or urllib3, which wrap it several times."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error) or type(error).__name__
