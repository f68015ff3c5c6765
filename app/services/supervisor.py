"""The services of a run as child processes, from the start of all to the end of all."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from app.errors import ServiceError, StalledError, Stopped, WorkerLostError
from app.services.silence import Silence

TICK_SECONDS = 0.25
GRACE_SECONDS = 25.0
"""What the trainer has to save its step, as with a container's stop_grace_period."""
RESTARTS = 3
"""How often a stalled service is started again without progress meanwhile."""
ABORT_SECONDS = 5.0
"""What a service that is aborted has to write its stacks."""
LAST_LINES = 8
LINE_WIDTH = 400
"""Characters of a line that is printed; the log has all of them."""


@dataclass
class Service:
    """A child process in a process group of its own, whose output goes to `log`.

    `essential`: the work is over when all of these have ended, and fails if one fails; the others serve it. `silence`:
    how long it may give no sign of life.
    """

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    log: Path
    essential: bool = True
    silence: Silence | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    log_start: int = 0
    restarts: int = 0
    stopped: bool = False
    """Whether it was sent a signal, so that a code other than 0 is expected."""
    aborted: bool = False
    """Whether it was ended for its silence."""

    def start(self) -> None:
        """Starts the process; its log is appended to."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.aborted = False
        if self.silence:
            self.silence.begin()
        with open(self.log, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.environ),
                process_group=0,
                preexec_fn=end_with_parent(),
            )

    @property
    def code(self) -> int | None:
        """The exit code as a shell gives it (128 + n for signal n), None while it runs."""
        code = self.process.poll() if self.process else None
        return 128 - code if code is not None and code < 0 else code

    def is_running(self) -> bool:
        return self.process is not None and self.code is None

    def has_stalled(self) -> bool:
        """Whether it ended since it, a step of its, or another worker did not come back."""
        return self.aborted or self.code in (StalledError.exit_code, WorkerLostError.exit_code)

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
        with open(self.log, "rb") as log:
            log.seek(max(self.log_start, log.seek(0, os.SEEK_END) - 16_384))
            lines = log.read().decode(errors="replace").splitlines()
        return [textwrap.shorten(line, LINE_WIDTH) for line in lines if line.strip()][-count:]

    def failure(self) -> ServiceError:
        """The error for a service that ended with a code: its own last message, and the log that has the rest."""
        lines = self.last_lines()
        errors = [line for line in lines if line.startswith("detbox: ")]
        message = errors[-1].removeprefix("detbox: ").removeprefix("error: ") if errors else " / ".join(lines[-1:])
        return ServiceError(
            f"the {self.name} ended with code {self.code}: {message or 'no message'}",
            remedy=f"its log is {self.log}",
            exit_code=StalledError.exit_code if self.aborted else self.code or 1,
        )


class Supervisor:
    """Runs services until the essential ones have ended, one has failed, or a signal comes."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        grace: float = GRACE_SECONDS,
        is_outlived: Callable[[int], bool] = lambda number: False,
        on_stop: Callable[[], None] = lambda: None,
        progress: Callable[[], object] = lambda: None,
    ):
        self.services, self.grace, self.is_outlived, self.on_stop = services, grace, is_outlived, on_stop
        """`is_outlived(number)`: whether a signal that has just come is none to end for; `on_stop` is called when the
        services are being stopped, before they are waited for."""
        self._progress, self._progress_seen = progress, progress()
        """What changes with progress, after which restarts are counted anew."""
        self._signals: list[int] = []

    def run(self, refresh: Callable[[], None], report: Callable[[str], None]) -> None:
        """Calls `refresh` every tick and `report` with each event; no service is left when this returns or raises.

        Raises ServiceError if an essential service fails, Stopped after SIGINT, SIGTERM or SIGHUP.
        """
        before = self._catch_signals()
        try:
            for service in self.services:
                service.start()
            failed = self._wait(refresh, report)
            if self._signals:
                self._stop(refresh, report, self._signals[0])
                raise Stopped(signal.Signals(self._signals[0]).name, signal_number=self._signals[0])
            if failed:
                for line in failed.last_lines():
                    report(f"{failed.name}: {line}")
                self._stop(refresh, report, signal.SIGTERM)
                raise failed.failure()
        finally:
            self._end_all()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wait(self, refresh: Callable[[], None], report: Callable[[str], None]) -> Service | None:
        """Until the end of the essential services, or a signal; the service that failed."""
        lost: set[str] = set()
        while not self._signals:
            refresh()
            for service in self.services:
                if service.silence and service.is_running() and service.silence.is_over():
                    state = service.abort()
                    report(f"the {service.name} {state}: no sign of life for {service.silence.limit:.0f} s, ended")
                if service.essential and service.code:
                    if not service.has_stalled() or not self._may_restart(service):
                        return service
                    report(f"{service.failure()}; restart {service.restarts} of {RESTARTS}")
                    service.start()
                if not service.essential and not service.is_running() and service.name not in lost:
                    lost.add(service.name)
                    report(f"{service.failure()}; training goes on")
            if not any(service.is_running() for service in self.services if service.essential):
                return None
            time.sleep(TICK_SECONDS)
        return None

    def _may_restart(self, service: Service) -> bool:
        """Counts a restart of `service`, anew after progress; whether it is within the bound."""
        if (progress := self._progress()) != self._progress_seen:
            self._progress_seen = progress
            for one in self.services:
                one.restarts = 0
        service.restarts += 1
        return service.restarts <= RESTARTS

    def _stop(self, refresh: Callable[[], None], report: Callable[[str], None], number: int) -> None:
        """Passes the signal on and waits; a second signal or the end of the grace period kills."""
        self.on_stop()
        for service in self.services:
            service.send(number if service.essential else signal.SIGTERM)
        running = [service for service in self.services if service.essential and service.is_running()]
        if running:
            names = " and ".join(f"the {service.name}" for service in running)
            report(f"stopping {names}: up to {self.grace:.0f} s to save, Ctrl-C again kills")
        signals, deadline = len(self._signals), time.monotonic() + self.grace
        while any(service.is_running() for service in running):
            if len(self._signals) > signals:
                report("killed by a second signal")
                return
            if time.monotonic() > deadline:
                late = [service.name for service in running if service.is_running()]
                report(f"killed after {self.grace:.0f} s: {', '.join(late)}")
                return
            refresh()
            time.sleep(TICK_SECONDS)
        for service in running:
            if service.code not in (0, 128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + number):
                report(str(service.failure()))

    def _end_all(self) -> None:
        """Ends what still runs: services that are not essential, or that did not stop."""
        running = [service for service in self.services if service.is_running()]
        for service in running:
            service.send(signal.SIGKILL if service.essential else signal.SIGTERM)
        for service in running:
            assert service.process
            try:
                service.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                service.send(signal.SIGKILL)
                service.process.wait()

    def _catch_signals(self) -> dict[int, Any]:
        def catch(number: int, frame: FrameType | None) -> None:
            if not self.is_outlived(number):
                self._signals.append(number)

        before: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP on purpose
                before[number] = signal.signal(number, catch)
        return before


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
