"""`logs`: what the services of a run have written, and what they write."""

import logging
import signal
import time

from app.errors import Stopped
from app.run.directory import Run
from app.services import run_table, up_process
from app.services.run_logs import LogTail
from app.settings import Settings
from app.terminal_text import escape_controls

logger = logging.getLogger(__name__)

NAMES = ("up", "trainer", "evaluator", "tensorboard")
LAST_LINES = 20
"""Of each log, before what comes."""
TICK_SECONDS = 0.5


def run(settings: Settings) -> None:
    """Prints the last lines of each log, then, if that is asked for, new ones until nothing works on the run."""
    run = run_table.known_run(settings.models_dir, settings.run_name)
    if not any(run.log(name).exists() for name in NAMES):
        logger.info("run %s has no logs; those of containers are in docker compose logs", run.name)
    tails = {name: LogTail(run.log(name), count=LAST_LINES) for name in NAMES}
    try:
        _print_new(tails)
        while settings.follow and up_process.is_active(run):
            time.sleep(TICK_SECONDS)
            _print_new(tails)
    except KeyboardInterrupt:
        raise _describe_leaving(run) from None
    if settings.follow:
        _print_new(tails)
        logger.info("run %s is not running", run.name)


def _print_new(tails: dict[str, LogTail]) -> None:
    for name, tail in tails.items():
        for line in tail.read():
            print(f"{name:<11} | {escape_controls(line)}", flush=True)


def _describe_leaving(run: Run) -> Stopped:
    still = up_process.is_active(run)
    return Stopped(
        f"run {run.name} goes on" if still else f"run {run.name} is not running",
        signal_number=signal.SIGINT,
        remedy=f"{up_process.command_for('stop', run)} ends it" if still else "",
    )
