"""A service as a child process, whatever has to be done with one."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from app.errors import DetboxError, OutOfMemoryError, ServiceError, StalledError, WorkerLostError
from app.machine import out_of_memory
from app.services.silence import Silence

ABORT_SECONDS = 5.0
"""What a service that is aborted has to write its stacks."""
LAST_LINES = 8
LINE_WIDTH = 400
"""Characters of a line that is printed; the log has all of them."""


@dataclass
class Service:
    """A child process in a process group of its own, whose output goes to `log`, or where this process's goes.

    `essential`: the work is over when all of these have ended, and fails if one fails; the others serve it. `silence`:
    how long it may give no sign of life.
    """

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    log: Path | None
    essential: bool = True
    silence: Silence | None = None
    smaller: Callable[[], str] = str
    """What takes less memory, for the remedy where it ran out."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    log_start: int = 0
    kills_before: int = 0
    """How many processes the kernel had ended for memory when this one was started."""
    restarts: int = 0
    stopped: bool = False
    """Whether it was sent a signal, so that a code other than 0 is expected."""
    aborted: bool = False
    """Whether it was ended for its silence."""

    def start(self) -> None:
        """Starts the process; its log is appended to."""
        self.aborted, self.kills_before = False, out_of_memory.count_kills()
        if self.silence:
            self.silence.begin()
        with self._open_log() as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                env=dict(self.environ),
                process_group=0,
                preexec_fn=end_with_parent(),
            )

    def _open_log(self) -> contextlib.AbstractContextManager[Any]:
        if self.log is None:
            return contextlib.nullcontext()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        log = open(self.log, "ab")  # noqa: SIM115
        self.log_start = log.tell()
        return log

    @property
    def code(self) -> int | None:
        """The exit code as a shell gives it (128 + n for signal n), None while it runs."""
        code = self.process.poll() if self.process else None
        return 128 - code if code is not None and code < 0 else code

    def is_running(self) -> bool:
        return self.process is not None and self.code is None

    def can_retry_help(self, has_advanced: bool) -> bool:
        """Whether it may go well when it is started again, after an end with a code other than 0.

        It does after a signal, where it, a step of its, or another worker did not come back; and after an error of
        unknown cause, if it had advanced: one that comes at the start comes again. What a setting, the data, the loss
        or the memory caused stays.
        """
        if self.aborted or self.code in (StalledError.exit_code, WorkerLostError.exit_code):
            return True
        if self._memory_failure(self.last_lines()):
            return False
        was_killed = self.process is not None and self.process.returncode < 0
        return was_killed or (self.code == DetboxError.exit_code and has_advanced)

    def send(self, number: int) -> None:
        """Sends a signal to the whole process group, if it is there; one that is stopped goes on to act on it."""
        if self.process and self.is_running():
            self.stopped = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
                os.killpg(self.process.pid, signal.SIGCONT)

    def abort(self) -> str:
        """Ends the process, which may be stopped or hang, with its stacks in the log if it can write them; says how."""
        assert self.process
        process, self.aborted = psutil.Process(self.process.pid), True
        state = "is stopped, as by SIGSTOP" if process.status() == psutil.STATUS_STOPPED else "hangs"
        process.send_signal(signal.SIGABRT)
        for number in (signal.SIGCONT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=ABORT_SECONDS)
        return state

    def last_lines(self, count: int = LAST_LINES) -> list[str]:
        """The last lines that this process wrote."""
        if self.log is None:
            return []
        with open(self.log, "rb") as log:
            log.seek(max(self.log_start, log.seek(0, os.SEEK_END) - 16_384))
            lines = log.read().decode(errors="replace").splitlines()
        return [textwrap.shorten(line, LINE_WIDTH) for line in lines if line.strip()][-count:]

    def failure(self) -> ServiceError:
        """The error for a service that ended with a code: its own last message, and the log that has the rest."""
        lines = self.last_lines()
        if how := self._memory_failure(lines):
            return ServiceError(
                f"the {self.name} ran out of memory: {how}", remedy=self.smaller(), exit_code=OutOfMemoryError.exit_code
            )
        errors = [line for line in lines if line.startswith("detbox: ")]
        message = errors[-1].removeprefix("detbox: ").removeprefix("error: ") if errors else " / ".join(lines[-1:])
        message = message or ("no message" if self.log else "")
        return ServiceError(
            f"the {self.name} ended with code {self.code}" + (f": {message}" if message else ""),
            remedy=f"its log is {self.log}" if self.log else "",
            exit_code=StalledError.exit_code if self.aborted else self.code or 1,
        )

    def _memory_failure(self, lines: Sequence[str]) -> str:
        """How the process ended, if that was for memory and it could not say so itself; else empty."""
        if self.aborted or self.stopped:
            return ""
        if self.code == 128 + signal.SIGKILL and out_of_memory.count_kills() > self.kills_before:
            return "the system ended it"
        return lines[-1] if self.code == 128 + signal.SIGABRT and out_of_memory.is_told(lines) else ""


def command(name: str) -> list[str]:
    """The argument vector of a detbox command in this very Python; needs `import_path` in its environment."""
    # Without -P a folder `app` in the user's directory would be imported instead of detbox's.
    return [sys.executable, "-P", "-m", "entrypoint", name]


def import_path(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with a PYTHONPATH by which `command` finds detbox, installed or not."""
    folders = [str(Path(__file__).parents[2]), environ.get("PYTHONPATH", "")]
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}


def end_with_parent() -> Callable[[], None] | None:
    """What a child runs before its program, to get SIGTERM when its parent dies, however it dies. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()
    pr_set_pdeathsig = 1  # linux/prctl.h

    def follow_parent() -> None:
        prctl(pr_set_pdeathsig, signal.SIGTERM)
        if os.getppid() != parent:  # it died before prctl was called
            os.kill(os.getpid(), signal.SIGTERM)

    return follow_parent
