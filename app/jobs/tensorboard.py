"""`tensorboard`: the TensorBoard service."""

import time

from app.run.directory import Run, find_run
from app.run.heartbeat import Heartbeat
from app.services import run_state, tensorboard
from app.settings import Settings


def run(settings: Settings) -> None:
    """Serves the run's events until a signal ends it, or the run's end if that is asked for."""
    run = find_run(settings.models_dir, settings.run_name)
    if settings.tensorboard_until_done:
        end = RunEnd(run, time.time())
        tensorboard.end_when(end, linger=0 if end.was_finished else settings.tensorboard_linger)
    tensorboard.serve(
        run.root,
        host=settings.tensorboard_host,
        port=settings.tensorboard_port,
        samples_per_plugin=settings.tensorboard_samples_per_plugin,
    )


class RunEnd:
    """Whether a run has ended since a moment.

    One that had ended before is shown, until a trainer was started that found nothing left to do.
    """

    def __init__(self, run: Run, since: float):
        self._run, self._since = run, since
        self.was_finished = run_state.is_finished(run)
        """An open page has nothing new to load then."""

    def __call__(self) -> bool:
        trainer = Heartbeat.read(self._run, "trainer")
        if trainer.has_failed_for_good(time.time(), since=self._since):
            return True
        return run_state.is_finished(self._run) and (not self.was_finished or trainer.time >= self._since)
