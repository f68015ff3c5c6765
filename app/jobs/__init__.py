"""The use cases of detbox: one module a command, named like it, with `run(settings)`.

The only place that wires the parts together. A module's `run` takes the whole `Settings`, hands the parts the few
values that they need, and returns what the command prints. Heavy imports stay inside functions: most commands need no
TensorFlow.
"""

import dataclasses
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.settings import Settings


@dataclass(frozen=True)
class Job:
    """What a command line asks for: the name of a command, with its settings.

    It can't be called and holds no function: Fire, which is given it, calls whatever it can.
    """

    command: str
    settings: Settings


TRAINS = ("up", "prepare", "train")
"""Commands that train, or look at what will."""
SERVICES = {"train": "trainer", "evaluate": "evaluator"}
"""Commands that are a service, with its name."""


COPIED = {"up": True, "train": True, "evaluate": True, "prepare": False}
"""Commands that restore the run with `sync_to`, and whether they copy it as well."""


def run(job: Job) -> Any:
    """Runs a job, with a copy of its run in an object store if there is to be one."""
    if job.settings.gpus and job.command in TRAINS:
        from app.machine import gpu_choice

        gpu_choice.choose(job.settings.gpus)  # For the processes that this one starts, too.
        job = Job(job.command, dataclasses.replace(job.settings, gpus=""))
    if not _works_on_copied_run(job):
        return _run(job)
    from app.services.run_copier import kept_copy

    with kept_copy(job.settings, copies=COPIED[job.command]):
        return _run(job)


def _works_on_copied_run(job: Job) -> bool:
    """Not an `up` that has another do it, nor a worker that is not the chief."""
    if not job.settings.sync_to or job.command not in COPIED or job.settings.detach:
        return False
    if job.command != "train":
        return True
    from app.machine.cluster import cluster_of

    cluster = cluster_of(job.settings)
    return cluster is None or cluster.is_chief


def _run(job: Job) -> Any:
    """A service may be looked after in a process of its own."""
    if is_kept(job):
        from app.services.kept_service import keep_service
        from app.services.service import command

        return keep_service(SERVICES[job.command], job.settings, command(job.command))
    return load(job.command)(job.settings)


def is_kept(job: Job) -> bool:
    """Whether the job is a service that another process starts: to start it again, or to tell of its end."""
    settings = job.settings
    tells = job.command == "train" and settings.notify not in ("", "none")
    return job.command in SERVICES and (settings.restarts > 0 or tells)


def load(command: str) -> Callable[[Settings], Any]:
    """The `run` of the command's module: `zoo fetch` is `app.jobs.zoo_fetch`."""
    return importlib.import_module(f"{__name__}.{command.replace(' ', '_')}").run
