"""The `up` that works on a run: which process it is, from its first moment to its end."""

import contextlib
import os
import shlex
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from app.errors import SettingsError
from app.humanize import format_time
from app.run import lock, provenance
from app.run.directory import Run
from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, moment, process_number, text, yes_or_no
from app.settings import FIELDS, flag

SERVICES = ("trainer", "evaluator")
UP = Schema(
    {
        "pid": process_number, "place": text, "started": moment, "background": yes_or_no, "tensorboard": text,
        "stopping": yes_or_no,
    }
)  # fmt: skip
ORPHAN_SECONDS = 60.0
"""What the services of an `up` that was killed have to save their step and end."""


@dataclass(frozen=True)
class UpProcess:
    """A process that runs `up`.

    `place`: where its number is valid; `started`: Unix seconds; `tensorboard`: a URL; `stopping`: it waits for its
    services to save and end, and another signal would kill them.
    """

    pid: int
    place: str
    started: float
    background: bool
    tensorboard: str = ""
    stopping: bool = False

    def describe(self, now: float) -> str:
        """As a person reads it: `in the background for 1:02:03 (process 123)`."""
        where = "in the background" if self.background else "in a terminal"
        stopping = ", stopping" if self.stopping else ""
        return f"{where} for {format_time(max(now - self.started, 0))}{stopping} (process {self.pid})"


@contextlib.contextmanager
def hold_up(run: Run, *, background: bool) -> Iterator[Callable[..., None]]:
    """Makes this process the run's only `up`; what it yields changes what others read of it.

    Raises SettingsError if another process is. Where nothing was prepared in the end, no trace of it stays.
    """
    with lock.hold_lock(run.service_lock("up"), is_running_already(run), wait_secs=lock.GLANCE_SECONDS):
        up = UpProcess(os.getpid(), _place(), time.time(), background)
        write_json(run.status("up"), asdict(up))

        def change(**values: object) -> None:
            nonlocal up
            up = replace(up, **values)  # type: ignore[arg-type]
            write_json(run.status("up"), asdict(up))

        try:
            yield change
        finally:
            run.status("up").unlink(missing_ok=True)
            if not (run.pipeline_config.exists() or run.metrics.exists()):
                shutil.rmtree(run.status_dir, ignore_errors=True)


def find_up(run: Run) -> UpProcess | None:
    """The `up` that works on the run now."""
    if not lock.is_held(run.service_lock("up")):
        return None
    found = read_object(run.status("up"), UP)
    return UpProcess(
        pid=found.get("pid", 0),
        place=found.get("place", ""),
        started=found.get("started", time.time()),
        background=found.get("background", False),
        tensorboard=found.get("tensorboard", ""),
        stopping=found.get("stopping", False),
    )


def is_running_already(run: Run) -> SettingsError:
    """The refusal of a second `up`."""
    return SettingsError(
        "this run is running already",
        where=str(run.root),
        remedy=f"{command_for('stop', run)} ends it; or start another run: {flag('run', 'NAME')}",
    )


def find_services(run: Run) -> list[str]:
    """Those of trainer and evaluator that work on the run now, whoever started them."""
    return [service for service in SERVICES if lock.is_held(run.service_lock(service))]


def is_active(run: Run) -> bool:
    """Whether anything works on the run."""
    return find_up(run) is not None or bool(find_services(run))


def refuse_change(run: Run, given: Mapping[str, str], dataset: str) -> None:
    """Raises SettingsError if a trainer or evaluator works on the run, and was prepared from other settings or data.

    As with a second user of a host, or a second clone, who chose the same name.
    """
    before = provenance.read_given(run)
    if before is None or not (active := find_services(run)):
        return
    names = [name for name in FIELDS if before.get(name) != given.get(name)]
    names += ["dataset"] if provenance.dataset_path(dataset) != read_object(run.provenance).get("dataset") else []
    if names:
        raise SettingsError(
            f"the {' and '.join(active)} of this run work on it with another {', '.join(names[:3])}",
            where=str(run.root),
            remedy=f"stop that first, or start another run: {flag('run', 'NAME')}",
        )


def await_services(run: Run, wait_secs: float = ORPHAN_SECONDS) -> None:
    """Waits until no trainer or evaluator works on the run. Raises SettingsError if one does after `wait_secs`.

    An `up` that was killed leaves them: they get SIGTERM as it dies, and save their step.
    """
    for service in find_services(run):
        refusal = SettingsError(
            f"another {service} works on this run",
            where=str(run.root),
            remedy=f"end it where it was started, or start another run: {flag('run', 'NAME')}",
        )
        why = f"the {service} that still works on this run, left by an `up` that was killed: up to {wait_secs:.0f} s"
        with lock.hold_lock(run.service_lock(service), refusal, wait_secs=wait_secs, wait_for=why):
            pass


def send_signal(up: UpProcess, signal_number: int) -> None:
    """Sends it to the process. Raises SettingsError if that is unknown, not of this machine, or another user's."""
    if not (up.pid and up.place):  # To a system 0 means every process of this one's group.
        raise SettingsError(
            "status/up.json does not say which process it is",
            where="the `up` of this run",
            remedy="end it where it was started, as with Ctrl-C",
        )
    if up.place != _place():
        raise SettingsError(
            "runs on another machine, or in another container",
            where=f"process {up.pid} of {up.place}",
            remedy="stop it there, as with docker compose stop",
        )
    try:
        os.kill(up.pid, signal_number)
    except ProcessLookupError:  # It has just ended.
        pass
    except PermissionError:
        raise SettingsError("belongs to another user", where=f"process {up.pid}", remedy="stop it as that") from None


def command_for(command: str, run: Run) -> str:
    """The command line of a command for this run, as one types it."""
    return shlex.join(["detbox", command, f"--models_dir={run.root.parent}", f"--run={run.name}"])


def _place() -> str:
    """Where this process's number means this process: host and, on Linux, the namespace of its processes."""
    try:
        return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()
