"""`tensorboard`: the TensorBoard service."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from app.jobs.report import chosen_runs
from app.run.directory import Run, find_run, find_runs
from app.run.heartbeat import Heartbeat
from app.services import run_state, tensorboard
from app.settings import Settings, is_given

PUBLISHED = "DETBOX_TENSORBOARD_PUBLISHED"
"""Set by compose.yaml: the address on the host."""


def run(settings: Settings) -> None:
    """Serves the events of the run, or of those that `compare` names, until a signal ends it.

    Or until the run's end, if that is asked for.
    """
    run = find_run(settings.models_dir, settings.run_name)
    host, port = settings.tensorboard_host, settings.tensorboard_port
    if run.exists and not is_given(settings, "tensorboard_port"):
        port = tensorboard.choose_port(run, host, port, is_given=False)
    if settings.tensorboard_until_done and not settings.compare:
        end = RunEnd(run, time.time())
        tensorboard.end_when(end, linger=0 if end.was_finished else settings.tensorboard_linger)
    with _log_folder(run, settings) as folder:
        tensorboard.serve(
            folder,
            host=host,
            port=port,
            samples_per_plugin=settings.tensorboard_samples_per_plugin,
            published=os.environ.get(PUBLISHED, ""),
        )


@contextlib.contextmanager
def _log_folder(run: Run, settings: Settings) -> Iterator[Path]:
    """The run's folder; with `compare` one of links to the runs that it names, all of them where that is `all`."""
    if not settings.compare:
        yield run.root
        return
    runs = find_runs(settings.models_dir) if settings.compare == "all" else chosen_runs(settings)
    with tempfile.TemporaryDirectory(prefix="detbox-runs-") as folder:
        for one in runs:
            (Path(folder) / one.name).symlink_to(one.root)
        yield Path(folder)


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
        if trainer.state == "preempted" and trainer.time >= self._since:
            return True
        return run_state.is_finished(self._run) and (not self.was_finished or trainer.time >= self._since)
