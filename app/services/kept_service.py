"""A service that is started again as long as that can help; what it ended with for good is told to the others."""

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from app.environment import as_environment
from app.errors import Preempted, ServiceError
from app.machine.cluster import cluster_of
from app.machine.preemption import PreemptionWatch
from app.run import lock, sign_of_life
from app.run.directory import Run, find_run
from app.run.evaluations import evaluated_steps
from app.run.heartbeat import Heartbeat, write_heartbeat
from app.services import run_logs
from app.services.batch_size import smaller_batch
from app.services.notification import Notifier
from app.services.preempted_run import record_preemption
from app.services.run_copier import NONE
from app.services.service import Service, import_path
from app.services.silence import Silence, silent_secs
from app.services.supervisor import Supervisor
from app.settings import Settings

logger = logging.getLogger(__name__)

PROGRESS: Mapping[str, Callable[[Run], object]] = {
    "trainer": lambda run: run.checkpoint_steps()[-1:],
    "evaluator": evaluated_steps,
}


def keep_service(name: str, settings: Settings, argv: Sequence[str]) -> None:
    """Runs the service `name` by the command line `argv`, again as often as `settings.restarts` allows.

    Raises ServiceError if it failed for good, Stopped after a signal, Preempted where the cloud takes the machine. The
    evaluator fails with the trainer.
    """
    run = find_run(settings.models_dir, settings.run_name)
    notifier = Notifier(run, settings)
    cluster = cluster_of(settings) if name == "trainer" else None
    if name == "trainer" and (cluster is None or cluster.is_chief):
        with notifier.telling_end():
            _keep(name, run, dataclasses.replace(settings, notify="none"), argv)
    else:
        _keep(name, run, settings, argv)


def _keep(name: str, run: Run, settings: Settings, argv: Sequence[str]) -> None:
    environ = as_environment(dataclasses.replace(settings, restarts=0, sync_to=NONE), os.environ)
    silence = Silence(partial(sign_of_life.last, run, name), silent_secs(settings))
    service = Service(name, argv, import_path(environ), log=None, silence=silence)
    if name == "trainer":
        service.smaller = partial(smaller_batch, run)
    watch = PreemptionWatch(settings.preemption_notice, os.environ).start()
    supervisor = Supervisor(
        [service], restarts=settings.restarts, progress=partial(PROGRESS[name], run), preemption=watch
    )
    try:
        supervisor.run(partial(run_logs.bound, run.log(name)), logger.warning)
    except Preempted as error:
        raise record_preemption(run, [name], error) from None
    except ServiceError as error:
        raise fail_for_good(run, name, error) from None
    if name == "evaluator" and (trainer := Heartbeat.read(run, "trainer")).has_failed_for_good(time.time()):
        raise ServiceError(f"the trainer failed: {trainer.reason}", where=str(run.root), exit_code=trainer.code or 1)


def fail_for_good(run: Run, name: str, error: ServiceError) -> ServiceError:
    """Says in the run that the service does not come back, unless it lives elsewhere; the error to raise."""
    beat = Heartbeat.read(run, name)
    if not beat.has_started or lock.is_held(run.service_lock(name)):
        return error
    told = beat.reason if beat.state == "failed" else ""
    what = f"{error.what}: {told}" if told else error.what
    try:
        write_heartbeat(
            run, name, state="failed", step=beat.step, of=beat.of, reason=told or what, code=error.exit_code
        )
    except OSError as disk:
        logger.warning("%s | the run can't be told of it: %s", name, disk)
    return ServiceError(what, where=str(run.root), remedy=error.remedy, exit_code=error.exit_code)
