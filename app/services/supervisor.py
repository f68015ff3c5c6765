"""The services of a run as child processes, from the start of all to the end of all."""

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from app.errors import Preempted, Stopped
from app.machine.preemption import Notice
from app.services.service import Service

TICK_SECONDS = 0.25
GRACE_SECONDS = 25.0
"""What the trainer has to save its step, as with a container's stop_grace_period."""
MARGIN_SECONDS = 15.0
"""What is left of a notice of preemption when services that still save are killed."""
RESTARTS = 3
"""How often a service is started again without progress meanwhile."""


class Supervisor:
    """Runs services until the essential ones have ended, one has failed, or a signal or notice of preemption comes."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        grace: float = GRACE_SECONDS,
        is_outlived: Callable[[int], bool] = lambda number: False,
        on_stop: Callable[[], None] = lambda: None,
        progress: Callable[[], object] = lambda: None,
        restarts: int = RESTARTS,
        preemption: Callable[[], Notice | None] = lambda: None,
    ):
        self.services, self.grace, self.is_outlived, self.on_stop = services, grace, is_outlived, on_stop
        """`is_outlived(number)`: whether a signal that has just come is none to end for; `on_stop` is called when the
        services are being stopped, before they are waited for."""
        self._progress, self._progress_seen = progress, progress()
        """What changes with progress, after which restarts are counted anew."""
        self._restarts, self._preemption = restarts, preemption
        self._notice: Notice | None = None
        self._signals: list[int] = []

    def run(self, refresh: Callable[[], object], report: Callable[[str], None]) -> None:
        """Calls `refresh` every tick and `report` with each event; no service is left when this returns or raises.

        Raises ServiceError if an essential service fails, Stopped after SIGINT, SIGTERM or SIGHUP, Preempted where the
        cloud takes the machine.
        """
        before = self._catch_signals()
        try:
            for service in self.services:
                service.start()
            failed = self._wait(refresh, report)
            if self._notice or self._signals:
                number = signal.SIGTERM if self._notice else self._signals[0]
                self._stop(refresh, report, number)
                # A cloud that shuts the machine down as well may be quicker with that than with its notice.
                if number == signal.SIGTERM and (notice := self._preemption()):
                    raise Preempted(f"preempted: {notice}")
                raise Stopped(signal.Signals(number).name, signal_number=number)
            if failed:
                for line in failed.last_lines():
                    report(f"{failed.name}: {line}")
                self._stop(refresh, report, signal.SIGTERM)
                raise failed.failure()
        finally:
            self._end_all()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wait(self, refresh: Callable[[], object], report: Callable[[str], None]) -> Service | None:
        """Until the end of the essential services, a signal or a notice; the service that failed."""
        lost: set[str] = set()
        while not self._signals:
            self._notice = self._preemption()
            if self._notice:
                report(f"preempted: {self._notice}")
                self.grace = max(self.grace, (self._notice.seconds_left() or 0) - MARGIN_SECONDS)
                return None
            refresh()
            for service in self.services:
                if service.silence and service.is_running() and service.silence.is_over():
                    state = service.abort()
                    report(f"the {service.name} {state}: no sign of life for {service.silence.limit:.0f} s, ended")
                if service.essential and service.code:
                    if not self._may_restart(service):
                        return service
                    report(f"{service.failure()}; restart {service.restarts} of {self._restarts}")
                    service.start()
                if not service.essential and not service.is_running() and service.name not in lost:
                    lost.add(service.name)
                    report(f"{service.failure()}; training goes on")
            if not any(service.is_running() for service in self.services if service.essential):
                return None
            time.sleep(TICK_SECONDS)
        return None

    def _may_restart(self, service: Service) -> bool:
        """Whether to start `service` again: it can help, and is within the bound, counted anew after progress."""
        progress = self._progress()
        has_advanced = progress != self._progress_seen
        if not service.can_retry_help(has_advanced):
            return False
        if has_advanced:
            self._progress_seen = progress
            for one in self.services:
                one.restarts = 0
        service.restarts += 1
        return service.restarts <= self._restarts

    def _stop(self, refresh: Callable[[], object], report: Callable[[str], None], number: int) -> None:
        """Passes the signal on and waits; a second signal or the end of the grace period kills.

        After a notice of preemption SIGTERM, the cloud's own, does not: the services act on it already.
        """
        self.on_stop()
        for service in self.services:
            service.send(number if service.essential else signal.SIGTERM)
        running = [service for service in self.services if service.essential and service.is_running()]
        if running:
            names = " and ".join(f"the {service.name}" for service in running)
            report(f"stopping {names}: up to {self.grace:.0f} s to save, Ctrl-C again kills")
        signals, deadline = len(self._signals), time.monotonic() + self.grace
        while any(service.is_running() for service in running):
            if any(not self._notice or one != signal.SIGTERM for one in self._signals[signals:]):
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
