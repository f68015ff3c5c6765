"""`up`: prepare, then the three services of the run to their end."""

import dataclasses
import logging
import os
import time

from app.environment import as_environment
from app.jobs import prepare
from app.jobs.report import report_at_end
from app.run.directory import find_run
from app.services import run_state, tensorboard, trio
from app.settings import Settings, flag

logger = logging.getLogger(__name__)


def run(settings: Settings) -> trio.Outcome:
    """Prepares, then runs trainer, evaluator and TensorBoard as local processes; returns how the run ended."""
    run, started = find_run(settings.models_dir, settings.run_name), time.time()
    metric, host = settings.best_metric, settings.tensorboard_host
    if run_state.is_finished(run, settings.num_train_steps):
        more, other = flag("num_train_steps"), flag("run", "NAME")
        logger.info("run %s is finished -> a larger %s trains on, %s starts another", run.name, more, other)
        return trio.read_outcome(run, metric=metric, report=report_at_end(run, settings))
    prepare.run(settings)
    port = tensorboard.find_free_port(host, settings.tensorboard_port)
    if settings.tensorboard_port not in (0, port):
        logger.info("port %d is in use: TensorBoard uses %d", settings.tensorboard_port, port)
    pinned = dataclasses.replace(settings, run=run.name, tensorboard_port=port)
    services = trio.make_services(run, as_environment(pinned, os.environ))
    trio.run_services(run, services, metric=metric, host=host, port=port)
    took, page = time.time() - started, report_at_end(run, settings)
    return trio.read_outcome(run, metric=metric, seconds=took, report=page)
