"""The error tree of detbox: one class for each documented exit code.

    DetboxError                  1
    ├── UsageError               2   unknown command or flag
    ├── SettingsError            3   a setting or the pipeline.config is wrong
    ├── DatasetError             4   the data set can't be used
    ├── PatchMismatchError       5   the OD API in use is not the patched one
    ├── DivergedError            6   a loss or a variable is not finite
    ├── OutOfMemoryError         7   the accelerator or the host ran out of memory
    ├── GateError                8   a model is not good enough to be promoted
    ├── StalledError             9   a training step did not come back
    ├── WorkerLostError         10   another worker of the cluster ended or did not come
    ├── ServiceError           as the service's   a child process of `up` failed
    └── Stopped            129/130/143  SIGHUP, SIGINT or SIGTERM, after the checkpoint was saved
        └── Preempted              143  the cloud takes the machine, after the checkpoint was saved

A message is one line: what, where, and the remedy (by flag and variable where there is one).
Only `entrypoint/process.py` turns these into exit codes.
"""

import difflib
import re
import signal
from collections.abc import Iterable

from app.terminal_text import escape_controls


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that `name` is likely meant for: a whole name, else a part of one; empty without any."""
    names = list(known)
    if near := difflib.get_close_matches(name, names, n=1):
        return near[0]
    parts = {part: whole for whole in reversed(names) for part in whole.strip("-").split("_")}
    near = difflib.get_close_matches(name.strip("-"), parts, n=1, cutoff=0.75)
    return parts[near[0]] if near else ""


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str:
    """The question for the nearest known name, for a remedy; empty without any."""
    near = nearest(name, known)
    return f"did you mean {prefix}{near}?" if near else ""


class DetboxError(Exception):
    """Base of everything that detbox reports to its user."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = ""):
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.remedy:
            line += f" -> {self.remedy}"
        # Line ends are those of other libraries' messages as well.
        return escape_controls(" ".join(re.split(r"[ \t\r\n]+", line.strip())))


class UsageError(DetboxError):
    """The command line names something that does not exist."""

    exit_code = 2


class SettingsError(DetboxError):
    """A setting, or the pipeline.config that settings make, is wrong."""

    exit_code = 3


class DatasetError(DetboxError):
    """The data set, or the records made from it, can't be used."""

    exit_code = 4


class PatchMismatchError(DetboxError):
    """The installed OD API is not the patched one that this detbox was made for."""

    exit_code = 5


class DivergedError(DetboxError):
    """Training met a loss or a variable that is not finite."""

    exit_code = 6


class OutOfMemoryError(DetboxError):
    """The accelerator or the host ran out of memory."""

    exit_code = 7


class GateError(DetboxError):
    """A model did not pass the gate to serving."""

    exit_code = 8


class StalledError(DetboxError):
    """A training step did not come back; the trainer is started again."""

    exit_code = 9


class WorkerLostError(DetboxError):
    """Another worker of the cluster ended, or did not come; all go on from the last checkpoint when started again."""

    exit_code = 10


class ServiceError(DetboxError):
    """A service that detbox had started ended with an exit code, which becomes detbox's own."""

    def __init__(self, what: str, *, exit_code: int, where: str = "", remedy: str = ""):
        super().__init__(what, where=where, remedy=remedy)
        self.exit_code = exit_code


class Stopped(DetboxError):
    """A signal ended the work in good order; `signal_number` makes the exit code (128 + n)."""

    def __init__(self, what: str, *, signal_number: int, where: str = "", remedy: str = ""):
        super().__init__(what, where=where, remedy=remedy)
        self.exit_code = 128 + signal_number


class Preempted(Stopped):
    """The cloud takes this machine; all ended as after SIGTERM."""

    def __init__(self, what: str, *, where: str = "", remedy: str = ""):
        super().__init__(what, signal_number=signal.SIGTERM, where=where, remedy=remedy)
