"""`up`: prepare, then the three services of the run to their end, here or in the background."""

import dataclasses
import logging
import os
import time

from app.environment import as_environment
from app.errors import SettingsError
from app.jobs import prepare
from app.jobs.report import report_at_end
from app.machine.cluster import cluster_of
from app.machine.preemption import PreemptionWatch
from app.run.directory import Run, find_run
from app.run.preparation import new_directory
from app.services import background, metrics_server, run_copier, run_state, tensorboard, trio, up_process
from app.services.hangup import Hangup, has_terminal
from app.services.notification import Notifier
from app.services.silence import silent_secs
from app.settings import Settings, flag, is_given

logger = logging.getLogger(__name__)


def run(settings: Settings) -> trio.Outcome | background.Started:
    """Prepares, then runs trainer, evaluator and TensorBoard as local processes; returns how the run ended.

    With `detach` another `up` does so, and this returns when training has begun.
    """
    run = find_run(settings.models_dir, settings.run_name)
    cluster = cluster_of(settings)
    if cluster and not cluster.is_chief:
        what, remedy = f"this is worker {cluster.index}, and up is the chief's", "detbox train here, with the same run"
        raise SettingsError(what, where=cluster.source, remedy=remedy)
    if run_state.is_finished(run, settings.num_train_steps):
        more, other = flag("num_train_steps"), flag("run", "NAME")
        logger.info("run %s is finished -> a larger %s trains on, %s starts another", run.name, more, other)
    elif settings.detach:
        environ = as_environment(dataclasses.replace(settings, detach=False, json=False), os.environ)
        if started := background.start(run, environ):
            return started
    else:
        return _run_to_end(run, settings)
    return trio.read_outcome(run, metric=settings.best_metric, report=report_at_end(run, settings))


def _run_to_end(run: Run, settings: Settings) -> trio.Outcome:
    metric, host, started, hangup = settings.best_metric, settings.tensorboard_host, time.time(), Hangup()
    hangup.listen()
    notifier = Notifier(run, settings)
    with new_directory(run), up_process.hold_up(run, background=not has_terminal()) as change:
        up_process.await_services(run)
        with notifier.telling_end():
            metrics_server.serve_metrics(
                run, up_process.SERVICES, host=settings.metrics_host, port=settings.metrics_port
            )
            prepare.run(settings, trains_here=True)
            is_chosen = is_given(settings, "tensorboard_port")
            port = tensorboard.choose_port(run, host, settings.tensorboard_port, is_given=is_chosen)
            change(tensorboard=tensorboard.url(host, port))
            pinned = dataclasses.replace(settings, run=run.name, tensorboard_port=port, metrics_port=0, restarts=0)
            # Results and copies are this process's.
            pinned = dataclasses.replace(pinned, results_dir="", sync_to=run_copier.NONE)
            services = trio.make_services(run, as_environment(pinned, os.environ), silent_secs=silent_secs(settings))
            watch = PreemptionWatch(settings.preemption_notice, os.environ).start()
            trio.run_services(
                run, services, metric=metric, host=host, port=port, hangup=hangup, change=change, preemption=watch
            )
        took, page = time.time() - started, report_at_end(run, settings)
    return trio.read_outcome(run, metric=metric, seconds=took, report=page)
