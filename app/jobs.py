"""The use cases of detbox: one function per command, and the only place that wires the parts together.

Each takes the whole `Settings`, hands the parts the few values that they need, and returns what the command prints.
Heavy imports stay inside the functions: most commands need no TensorFlow.
"""

import dataclasses
import logging
import os
import time
from dataclasses import dataclass

from app import runs
from app.errors import DetboxError
from app.settings import Settings, as_environment

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What a command line asks for: the name of a function below, with its settings.

    It can't be called and holds no function: Fire, which is given it, calls whatever it can.
    """

    command: str
    settings: Settings


def up(settings: Settings):
    """Prepares, then runs the three services of the run to their end. Returns a `trio.Outcome`."""
    from app import standing, tensorboard, trio

    run, started = find_run(settings), time.time()
    metric, host = settings.best_metric, settings.tensorboard_host
    if standing.is_finished(run, settings.num_train_steps):
        logger.info(
            "run %s is finished -> train on with a larger --num_train_steps, or start another with --run=NAME",
            run.name,
        )
        return trio.outcome(run, metric=metric)
    prepare(settings)
    port = tensorboard.free_port(host, settings.tensorboard_port)
    if settings.tensorboard_port not in (0, port):
        logger.info("port %d is in use: TensorBoard takes %d", settings.tensorboard_port, port)
    pinned = dataclasses.replace(settings, run=run.name, tensorboard_port=port)
    services = trio.services(run, as_environment(pinned, os.environ))
    trio.train(run, services, metric=metric, host=host, port=port)
    try:
        draw(settings)
    except DetboxError as error:
        logger.warning("no pictures drawn: %s", error)
    return trio.outcome(run, metric=metric, seconds=time.time() - started)


def tensorboard(settings: Settings) -> None:
    """Serves the run's events until a signal ends it."""
    from app import tensorboard

    tensorboard.serve(
        find_run(settings).root,
        host=settings.tensorboard_host,
        port=settings.tensorboard_port,
        samples_per_plugin=settings.tensorboard_samples_per_plugin,
    )


def status(settings: Settings):
    """Where the runs stand. Returns a `status.Status`."""
    from app import status

    return status.read(settings.models_dir, settings.run, settings.best_metric)


def doctor(settings: Settings):
    """What is wrong with this machine or installation. Returns a `doctor.Diagnosis`."""
    from app import doctor

    return doctor.diagnose(settings.models_dir)


def find_run(settings: Settings) -> runs.Run:
    """The run that the settings name."""
    return runs.find(settings.models_dir, settings.run_name)
