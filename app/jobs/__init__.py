"""The use cases of detbox: one function per command, and the only place that wires the parts together.

Each takes the whole `Settings`, hands the parts the few values that they need, and returns what the command
prints. Heavy imports stay inside the functions: most commands need no TensorFlow.
"""

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app import runs
from app.jobs import runfolder
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
    from app.jobs import reporting

    run, started = runfolder.find(settings), time.time()
    metric, host = settings.best_metric, settings.tensorboard_host
    if standing.is_finished(run, settings.num_train_steps):
        logger.info(
            "run %s is finished -> a larger --num_train_steps trains on, --run=NAME starts another",
            run.name,
        )
        return trio.outcome(run, metric=metric, report=reporting.report_at_end(run, settings))
    prepare(settings)
    port = tensorboard.free_port(host, settings.tensorboard_port)
    if settings.tensorboard_port not in (0, port):
        logger.info("port %d is in use: TensorBoard takes %d", settings.tensorboard_port, port)
    pinned = dataclasses.replace(settings, run=run.name, tensorboard_port=port)
    services = trio.services(run, as_environment(pinned, os.environ))
    trio.train(run, services, metric=metric, host=host, port=port)
    took, page = time.time() - started, reporting.report_at_end(run, settings)
    return trio.outcome(run, metric=metric, seconds=took, report=page)


def sample(settings: Settings) -> str:
    """Writes the built-in data set. Returns the folder."""
    from app.dataset import sample

    folder = Path(settings.output or "sample")
    sample.write(folder, pictures=settings.sample_pictures, seed=settings.seed)
    return str(folder)


def prepare(settings: Settings):
    """Makes the run's records, label map and pipeline.config. Returns a `preparing.Prepared`."""
    from app.jobs import preparing

    return preparing.prepare(settings)


def train(settings: Settings) -> None:
    """The trainer service: trains the run to its end, or until it is told to stop."""
    from app.jobs import training

    with _ended_by_signal():
        training.train(settings)


def evaluate(settings: Settings) -> None:
    """The evaluator service: evaluates every checkpoint of the run until training has ended."""
    from app.jobs import evaluating

    with _ended_by_signal():
        evaluating.evaluate(settings)


def inspect(settings: Settings):
    """What is in a data set or in records. Returns an `inspecting.Inspected`."""
    from app.jobs import inspecting

    return inspecting.inspect(settings)


def export(settings: Settings):
    """A checkpoint in other forms, made on the CPU. Returns an `exporting.Exported`."""
    from app.jobs import exporting

    with _ended_by_signal():
        return exporting.export(settings)


def promote(settings: Settings):
    """A checkpoint becomes what serves, or the version before it again. Returns a `promoting.Promoted`."""
    from app.jobs import promoting

    with _ended_by_signal():
        return promoting.promote(settings)


def detect(settings: Settings):
    """Detections on pictures. Returns a `detecting.Detected`."""
    from app.jobs import detecting

    with _ended_by_signal():
        return detecting.detect(settings)


def report(settings: Settings):
    """A page of one run or several. Returns a `reporting.Reported`."""
    from app.jobs import reporting

    return reporting.report(settings)


def zoo_list(settings: Settings):
    """The models of the TF2 model zoo. Returns a `zoo.Listing`."""
    from app.jobs import zoo

    return zoo.listing(settings)


def zoo_fetch(settings: Settings):
    """A model of the zoo on this machine. Returns a `zoo.Fetched`."""
    from app.jobs import zoo

    return zoo.fetch(settings)


def migrate(settings: Settings):
    """A TF1-era pipeline.config as TF2's. Returns a `migrating.Migrated`."""
    from app.jobs import migrating

    return migrating.migrate(settings)


@contextlib.contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Turns what a signal's handler raises, which is no Exception, into the error that it stands for."""
    from app.training.stop import Interrupted

    try:
        yield
    except Interrupted as interrupted:
        raise interrupted.stopped from None


def tensorboard(settings: Settings) -> None:
    """Serves the run's events until a signal ends it, or the run's end if that is asked for."""
    from app import standing, tensorboard

    run = runfolder.find(settings)
    if settings.tensorboard_until_done and not standing.is_finished(run):
        tensorboard.end_when(lambda: standing.is_finished(run) or runs.has_failed_for_good(run, time.time()))
    tensorboard.serve(
        run.root,
        host=settings.tensorboard_host,
        port=settings.tensorboard_port,
        samples_per_plugin=settings.tensorboard_samples_per_plugin,
    )


def status(settings: Settings):
    """Where the runs stand. Returns a `status.Status`."""
    from app import status

    return status.read(settings.models_dir, settings.run, settings.best_metric)


def health(settings: Settings):
    """Whether a service of the run makes progress. Returns a `health.Health`."""
    from app import health

    return health.look(runfolder.find(settings), settings.service)


def doctor(settings: Settings):
    """What is wrong with this machine or installation. Returns a `doctor.Diagnosis`."""
    from app import doctor

    return doctor.diagnose(settings.models_dir)
