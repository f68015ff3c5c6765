"""The start of `up` in the background: a process without a terminal, followed until training has begun."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.errors import DatasetError, DetboxError, ServiceError, SettingsError, Stopped
from app.run.directory import Run
from app.run.heartbeat import Heartbeat
from app.run.run_end import read_done
from app.services.run_logs import LogTail, bound
from app.services.service import command, import_path
from app.services.supervisor import GRACE_SECONDS
from app.services.up_process import command_for, find_up, is_running_already
from app.settings import flag
from app.terminal_text import escape_controls
from app.training.stop import Interrupted

TICK_SECONDS = 0.25
KNOWN_ERRORS = (SettingsError.exit_code, DatasetError.exit_code)
STOPPED = "detbox: stopped: "
INITS = ("systemd", "init", "launchd")
"""Process 1 of a machine; that of a container is the container's command."""


@dataclass(frozen=True)
class Started:
    """A run that trains in the background, with the commands that show and end it."""

    run: str
    folder: str
    pid: int
    step: int
    of: int
    tensorboard: str
    logs: str
    status: str
    stop: str

    def __str__(self) -> str:
        rows = [
            ("run", f"{self.folder}: at step {self.step} of {self.of}, in the background (process {self.pid})"),
            *[("TensorBoard", self.tensorboard)] * bool(self.tensorboard),
            ("look", self.status),
            ("follow", self.logs),
            ("end", self.stop),
        ]
        return "\n".join(f"{name:<11} {text}" for name, text in rows)


def start(run: Run, environ: Mapping[str, str], argv: list[str] | None = None) -> Started | None:
    """Starts `up` with the settings of `environ`; returns when it trains, None if it has come to its end by then.

    What it writes is shown on stderr meanwhile. Raises its error, as ServiceError with its exit code; Stopped if a
    signal comes, which ends it as well unless that is the end of the terminal.
    """
    _refuse_as_container()
    if find_up(run):
        raise is_running_already(run)
    log = run.log("up")
    log.parent.mkdir(parents=True, exist_ok=True)
    bound(log)
    started = time.time()
    with open(log, "ab") as output:
        lines = LogTail(log, start=output.tell())
        child = subprocess.Popen(
            argv or command("up"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=import_path(environ),
            start_new_session=True,
        )
    try:
        error = _follow(run, child, lines, started)
    except KeyboardInterrupt:
        raise _end(child, lines, signal.SIGINT) from None
    except Interrupted as interruption:
        if interruption.stopped.exit_code == 128 + signal.SIGHUP:
            raise
        raise _end(child, lines, signal.SIGTERM) from None
    code = child.returncode
    if code is None:
        beat, up = Heartbeat.read(run, "trainer"), find_up(run)
        return Started(
            run=run.name,
            folder=str(run.root),
            pid=child.pid,
            step=beat.step,
            of=beat.of,
            tensorboard=up.tensorboard if up else "",
            logs=f"{command_for('logs', run)} --follow",
            status=command_for("status", run),
            stop=command_for("stop", run),
        )
    if code == 0:
        return None
    if code in KNOWN_ERRORS:
        _remove_traces(log)
    raise _as_error(error, 128 - code if code < 0 else code, log)


def _follow(run: Run, child: subprocess.Popen[bytes], lines: LogTail, started: float) -> str:
    """Shows what the child writes until it trains or has ended; returns its last message of its own."""
    error = ""
    while True:
        ended = child.poll() is not None
        error = _show(lines) or error
        if ended or _is_training(run, started):
            return error
        time.sleep(TICK_SECONDS)


def _show(lines: LogTail) -> str:
    """Shows new lines; the last one, if it says how the process ended, is returned instead."""
    shown = [escape_controls(line) for line in lines.read()]
    error = shown.pop() if shown and shown[-1].startswith("detbox: ") else ""
    for line in shown:
        print(line, file=sys.stderr, flush=True)
    return error


def _is_training(run: Run, started: float) -> bool:
    """Whether the first step has been made since, or, of a run whose training has ended, an evaluation begun."""
    trainer, evaluator = (Heartbeat.read(run, service) for service in ("trainer", "evaluator"))
    if trainer.time >= started and not trainer.reason and trainer.state in ("training", "saving"):
        return True
    return evaluator.time >= started and evaluator.state == "evaluating" and read_done(run) is not None


def _end(child: subprocess.Popen[bytes], lines: LogTail, signal_number: int) -> Stopped:
    """Ends the child with what it started; what that comes to."""
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(2 * GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
    what = _show(lines).removeprefix(STOPPED) or "the start was given up"
    return Stopped(what, signal_number=signal_number)


def _as_error(message: str, code: int, log: Path) -> DetboxError:
    if message.startswith(STOPPED):
        return Stopped(message.removeprefix(STOPPED), signal_number=code - 128)
    text = message.removeprefix("detbox: ").removeprefix("error: ")
    if text:
        return ServiceError(text, exit_code=code)
    return ServiceError(f"up ended with code {code}", exit_code=code, remedy=f"its log is {log}")


def _remove_traces(log: Path) -> None:
    """Removes the log of a start that failed where there is no more of the run: its lines have been shown."""
    logs, folder = log.parent, log.parents[1]
    if list(logs.iterdir()) == [log] and list(folder.iterdir()) == [logs]:
        shutil.rmtree(folder)


def _refuse_as_container() -> None:
    """Raises SettingsError where this command is all that a container runs: the container would end with it."""
    if os.getpid() == 1 or (os.getppid() == 1 and _name_of_first() not in INITS):
        raise SettingsError(
            "a container ends with its command, and what that has started in the background too",
            where=flag("detach"),
            remedy="leave it out: docker compose up --detach, docker run --detach",
        )


def _name_of_first() -> str:
    try:
        return Path("/proc/1/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return INITS[0]
