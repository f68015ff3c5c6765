"""`stop`: the end of a run that `up` works on, at an exact step."""

import logging
import signal
import time
from dataclasses import dataclass

from app.errors import DetboxError, SettingsError
from app.run.directory import Run
from app.run.run_end import read_done
from app.services import run_table, up_process
from app.services.supervisor import GRACE_SECONDS
from app.settings import Settings

logger = logging.getLogger(__name__)

WAIT_SECONDS = 2 * GRACE_SECONDS
"""The supervisor gives the services half of it to save, then kills them."""
TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Stop:
    """A run that does not run any more. `step`: the newest saved one; `was_running`: until now."""

    run: str
    folder: str
    step: int | None
    was_running: bool
    reason: str

    def __str__(self) -> str:
        head = "stopped" if self.was_running else "is not running"
        saved = "no step is saved" if self.step is None else f"step {self.step} is saved"
        return f"run {self.run} {head}: {saved} in {self.folder}" + (f" ({self.reason})" if self.reason else "")


def run(settings: Settings) -> Stop:
    """Ends the run as SIGTERM to `up` does, and waits for it."""
    run = run_table.known_run(settings.models_dir, settings.run_name)
    up = up_process.find_up(run)
    if up is None and (services := up_process.find_services(run)):
        raise SettingsError(
            f"its {' and '.join(services)} work without `up`",
            where=str(run.root),
            remedy="end them where they were started: docker compose stop, or SIGTERM to each",
        )
    if up is not None:
        logger.info("run %s | stopping, up to %.0f s to save its step", run.name, GRACE_SECONDS)
        if not up.stopping:
            up_process.send_signal(up, signal.SIGTERM)
        _await_end(run, up)
    steps, done = run.checkpoint_steps(), read_done(run)
    return Stop(
        run=run.name,
        folder=str(run.root),
        step=steps[-1] if steps else None,
        was_running=up is not None,
        reason=f"training has ended: {done.get('reason', 'done')}" if done else "",
    )


def _await_end(run: Run, up: up_process.UpProcess) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while up_process.find_up(run) is not None:
        if time.monotonic() > until:
            raise DetboxError(
                f"process {up.pid} has not ended in {WAIT_SECONDS:.0f} s",
                where=str(run.root),
                remedy=f"{up_process.command_for('logs', run)} shows why; kill -KILL {up.pid} ends it",
            )
        time.sleep(TICK_SECONDS)
