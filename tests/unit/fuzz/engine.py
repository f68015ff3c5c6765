"""Runs a target on changed input and holds it to: a result or one line, in time and bounds, nothing written astray."""

import contextlib
import faulthandler
import logging
import os
import resource
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from mutations import mutate

from app.errors import DetboxError
from app.terminal_text import escape_controls

SECONDS = 60.0
"""For one input, on a busy machine; sound ones take hundredths."""
GROWTH_KB = 400_000
"""By which one input may raise the most memory that the process has had."""
_WRITES = {"os.mkdir": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.remove": 1, "os.rmdir": 1, "os.chmod": 1,
           "os.truncate": 1, "shutil.rmtree": 1}  # fmt: skip
"""Audit events of what changes a file system, and how many of their arguments are paths."""
_STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "socket.connect")
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Target:
    """A reader with sound input.

    `make(folder)` writes that; `call(folder)` reads it in this process. `files`: globs of what is changed. `writes`:
    what below the folder it may write to. `names`: whether files are renamed and replaced by links as well.
    `alone`: files are read one by one, so that those that were not changed are left out. `damage(random, folder)`:
    changes the input in place of `mutations`, and says how.
    """

    name: str
    make: Callable[[Path], object]
    call: Callable[[Path], Any]
    files: tuple[str, ...] = ("**/*",)
    writes: tuple[str, ...] = ("out",)
    names: bool = False
    alone: bool = False
    damage: Callable[[Random, Path], str] | None = None


class Unsound(AssertionError):
    """An input for which a target does not do as it must; says which one it was."""


class _TooLong(BaseException):
    pass


@dataclass
class _Watch:
    """What the process does to the file system, while it is on."""

    allowed: tuple[str, ...] = ()
    is_on: bool = False
    astray: list[str] = field(default_factory=list)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event in _STARTS:
            self.astray.append(f"{event} {arguments[0]!r}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)) and isinstance(flags, int) and flags & _WRITE_FLAGS:
                self._check(event, path)
        elif event in _WRITES and next((a for a in arguments[_WRITES[event] :] if isinstance(a, int)), -1) == -1:
            for path in arguments[: _WRITES[event]]:
                if event != "os.symlink" or path is arguments[1]:
                    self._check(event, path)

    def _check(self, event: str, path: Any) -> None:
        # Not relative to another folder's handle, which begins with an event of its own.
        place = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(path))))
        whole = f"{place}/{os.path.basename(os.fsdecode(path))}"
        if whole != os.devnull and not any(whole == one or whole.startswith(f"{one}/") for one in self.allowed):
            self.astray.append(f"{event} {whole!r}")


_watch = _Watch()
_is_hooked = False


@contextlib.contextmanager
def _watched(allowed: tuple[Path, ...]) -> Iterator[None]:
    global _is_hooked
    if not _is_hooked:  # There is no way to take it out again.
        sys.addaudithook(lambda event, arguments: _watch.hear(event, arguments))
        _is_hooked = True
    _watch.allowed, _watch.astray = tuple(os.path.realpath(path) for path in allowed), []
    _watch.is_on = True
    try:
        yield
    finally:
        _watch.is_on = False


class _Records(logging.Handler):
    """Log records that hold a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage().encode("utf-8", "backslashreplace")
        if record.exc_info:
            self.bad.append(record.getMessage())


def run(target: Target, folder: Path, inputs: int, seed: int, first: int = 0) -> tuple[Counter[str], list[Unsound]]:
    """Tries `target` on `inputs` changed inputs, made by `seed`: counts of `read` and `refused`; what was unsound."""
    sound, work = folder / "sound", folder / "work"
    sound.mkdir(parents=True, exist_ok=True)
    target.make(sound)
    outcome = _try(target, sound, work, None)
    assert outcome == "read", f"{target.name} does not read its own sound input: {outcome}"
    counts: Counter[str] = Counter()
    found = []
    for number in range(first, first + inputs):
        try:
            counts[_try(target, sound, work, Random(f"{target.name} {seed} {number}")).partition(":")[0]] += 1
        except Unsound as error:
            again = f"scripts/fuzz --only={target.name} --seed={seed} --first={number} --inputs=1"
            error.args = (f"{error.args[0]}\nagain: {again}",)
            found.append(error)
    return counts, found


def _try(target: Target, sound: Path, work: Path, random: Random | None) -> str:
    """What came of one input: `read`, or `refused: ` and why."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(sound, work, symlinks=True)
    what = _damage(random, target, work) if random else "as it was made"
    allowed = tuple(work / one for one in target.writes)
    before, records = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, _Records()
    logger = logging.getLogger("app")
    handlers, logger.handlers[:] = logger.handlers[:], [records]
    is_propagated, logger.propagate = logger.propagate, False
    stream = sys.__stderr__
    try:
        with _watched(allowed), _in_time(stream):
            target.call(work)
        outcome = "read"
    except DetboxError as error:
        outcome = f"refused: {error}"
        line = str(error)
        if (
            escape_controls(line) != line
            or len(line.splitlines()) != 1
            or not error.remedy
            or error.exit_code not in (1, 3, 4)
        ):
            raise Unsound(_describe(target, what, f"{error.exit_code}, remedy {error.remedy!r}, {line!r}")) from error
    except (_TooLong, Exception) as error:
        raise Unsound(_describe(target, what, f"{type(error).__name__}: {error}"[:500])) from error
    finally:
        logger.handlers[:], logger.propagate = handlers, is_propagated
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    faults = [*_watch.astray, *(f"traceback in the log: {text}" for text in records.bad)]
    if grown > GROWTH_KB and random:
        faults.append(f"took {grown // 1000} MB more than any input before")
    if faults:
        raise Unsound(_describe(target, what, "; ".join(faults)[:2000]))
    return outcome


def _describe(target: Target, what: str, fault: str) -> str:
    return f"{target.name}: {fault}\ninput: {what}"


@contextlib.contextmanager
def _in_time(stream: Any) -> Iterator[None]:
    def end(number: int, frame: Any) -> None:
        raise _TooLong(f"took more than {SECONDS:.0f} s")

    known = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True, file=stream)  # Native code hears no signal.
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, known)


def _damage(random: Random, target: Target, root: Path) -> str:
    """Changes one to three files below `root`; says how."""
    if target.damage:
        return target.damage(random, root)
    found = sorted({path for glob in target.files for path in root.glob(glob) if path.is_file()})
    another = random.choice(found).read_bytes()
    told = []
    chosen = random.sample(found, min(len(found), random.choice((1, 1, 1, 2, 3))))
    for path in set(found) - set(chosen) if target.alone else ():
        path.unlink()
    for path in chosen:
        if target.names and random.random() < 0.1:
            told.append(_displace(random, path))
            continue
        data = mutate(random, path.read_bytes(), another)
        path.write_bytes(data)
        shown = data if len(data) <= 3000 else data[:3000] + b"..."
        told.append(f"{path.relative_to(root)} ({len(data)} bytes): {shown!r}")
    return "\n       ".join(told)


def _displace(random: Random, path: Path) -> str:
    """Puts something else in a file's place: none, a folder, a link, or the same under a name of another kind."""
    kind, data, before = random.randrange(7), path.read_bytes(), str(path.name)
    path.unlink()
    if kind == 1:
        path.mkdir()
    elif kind == 2:
        path.symlink_to(random.choice((path.name, "/", "..", "/nowhere/at/all", "/etc/passwd", ".")))
    elif kind >= 3:
        new = random.choice(
            ("\x1b[31m", "a\nb", "\u2028", "\x85", "\u202e", "é", "e\u0301", "-", "%s", "[x]", "*", "a b", "'")
        )
        target = os.fsencode(path.parent) + b"/" + random.choice((
            os.fsencode(new + path.name), os.fsencode(path.stem + new + path.suffix), b"\xff" + os.fsencode(path.name),
            os.fsencode(path.name.upper()), os.fsencode(path.stem),
        ))  # fmt: skip
        if not os.path.exists(target):
            with open(target, "wb") as file:
                file.write(data)
    return f"{before} displaced, way {kind}"
