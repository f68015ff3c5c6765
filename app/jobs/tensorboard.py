"""`tensorboard`: the TensorBoard service."""

import time

from app.run.directory import find_run
from app.run.heartbeat import Heartbeat
from app.services import run_state, tensorboard
from app.settings import Settings


def run(settings: Settings) -> None:
    """Serves the run's events until a signal ends it, or the run's end if that is asked for."""
    run = find_run(settings.models_dir, settings.run_name)
    if settings.tensorboard_until_done and not run_state.is_finished(run):
        tensorboard.end_when(
            lambda: run_state.is_finished(run) or Heartbeat.read(run, "trainer").has_failed_for_good(time.time())
        )
    tensorboard.serve(
        run.root,
        host=settings.tensorboard_host,
        port=settings.tensorboard_port,
        samples_per_plugin=settings.tensorboard_samples_per_plugin,
    )
