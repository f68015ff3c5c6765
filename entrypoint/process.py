"""The process of a command: command line -> Job -> result on stdout -> exit code."""

import contextlib
import errno
import io
import logging
import os
import signal
import sys
import textwrap
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from app import jobs, log
from app.errors import DetboxError, OutOfMemoryError, SettingsError, Stopped, UsageError
from app.jobs import Job
from app.machine.out_of_memory import describe, is_out_of_memory
from app.run.directory import find_run
from app.settings import flag
from app.terminal_text import escape_controls, take_any_text
from app.training.stop import Interrupted
from entrypoint import help_pages, usage
from entrypoint.commands import COMMANDS, functions
from entrypoint.results import present

HELP_WORDS = {"-h", "--help", "help"}
LOG_OF_COMMAND = {
    "train": "trainer",
    "evaluate": "evaluator",
    "export": "export",
    "detect": "detect",
    "promote": "promote",
}
"""Commands that load TensorFlow, whose chatter goes to the log of this service."""
OUTLIVES_READERS = ("up", "train", "evaluate")
"""Commands that go on, or save their step, when the terminal that they write to is closed."""
DISK_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
"""What TensorFlow has the words of, and not the number."""
CANT_WRITE = {*DISK_FAILS, errno.EACCES, errno.EPERM}
DISK_REMEDY = f"free or choose another place: {flag('models_dir')}, {flag('output')}"
SIZE_OF_BATCH = {"evaluate": "eval_batch_size", "detect": "detect_batch_size"}
"""What takes less memory where it runs out; `batch_size` for the other commands."""

logger = logging.getLogger("app.entrypoint")


def main() -> int:
    """Runs the command line of this process and returns its exit code."""
    _catch_signals()
    for stream in (sys.stdout, sys.stderr):
        take_any_text(stream)
    try:
        return run(sys.argv[1:])
    except BrokenPipeError:
        # The reader went away (`detbox status | head`): no more output, and no complaint at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; every failure has been reported on stderr."""
    job = None
    try:
        if text := help_text(arguments):
            print(text)
            return 0
        job = parse(arguments)
        _set_up_logging(job)
        result = jobs.run(job)
        print(present(result, as_json=job.settings.json), end="", flush=True)
        return getattr(result, "exit_code", 0)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt, Interrupted) as error:
        return _report_error(error, job)


def _catch_signals() -> None:
    """Lets SIGTERM and SIGHUP end the command as Ctrl-C does: it removes what it has begun. Services have their own."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(Stopped(f"ended by {signal.Signals(number).name}", signal_number=number))

    ways = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: interrupt, signal.SIGHUP: interrupt}
    for number, way in ways.items():
        if signal.getsignal(number) is not signal.SIG_IGN:  # as after `nohup`
            signal.signal(number, way)


def help_text(arguments: Sequence[str]) -> str | None:
    """The help that the command line asks for, or None."""
    if not arguments or arguments[0] in HELP_WORDS:
        return help_pages.overview()
    if HELP_WORDS & set(arguments[1:2]) and arguments[0] not in COMMANDS:
        return help_pages.overview()
    if HELP_WORDS & set(arguments[1:]):
        return help_pages.of_command(usage.find(arguments)[0])
    return None


def parse(arguments: Sequence[str]) -> Job:
    """The Job that a command line asks for. Nothing of it is run.

    Raises UsageError for an unknown name, SettingsError for a wrong value.
    """
    line = usage.check(arguments)
    import fire

    complaint = io.StringIO()
    with contextlib.redirect_stderr(complaint):
        try:
            job = fire.Fire(functions(), line, name="detbox", serialize=lambda job: None)
        except fire.core.FireExit:
            raise UsageError(complaint.getvalue().partition("\n")[0].removeprefix("ERROR: ")) from None
    if not isinstance(job, Job):
        raise UsageError(f"{' '.join(arguments)!r} is no command line", remedy="see detbox --help")
    return job


def _set_up_logging(job: Job) -> None:
    chatter = _log_file(job)
    if job.command in OUTLIVES_READERS:
        log.outlive_readers(find_run(job.settings.models_dir, job.settings.run_name).log(_log_name(job)))
    if chatter and job.command in LOG_OF_COMMAND and not jobs.is_kept(job):
        log.quiet_native_output(chatter)
    log.set_up(debug=job.settings.debug, chatter_file=chatter)


def _log_file(job: Job) -> Path | None:
    """The log file of the command, if its run has a directory already."""
    run = find_run(job.settings.models_dir, job.settings.run_name)
    return run.log(_log_name(job)) if run.root.is_dir() else None


def _log_name(job: Job) -> str:
    """`trainer`, or `trainer-1` for a worker that is not the chief: two processes can't share a log's bounds."""
    name = LOG_OF_COMMAND.get(job.command, job.command)
    if job.command != "train":
        return name
    from app.machine.cluster import cluster_of

    cluster = cluster_of(job.settings)
    return f"{name}-{cluster.index}" if cluster and cluster.index else name


def _report_error(error: BaseException, job: Job | None) -> int:
    """Says on stderr what went wrong, in one line; returns the exit code."""
    debug = job is not None and job.settings.debug
    ours = _as_ours(error, job.command if job else "")
    if debug and not isinstance(ours, Stopped):
        traceback.print_exception(error, file=sys.stderr)
    if ours is None:
        _report_internal_error(error, job)
        return 1
    head = "detbox: stopped:" if isinstance(ours, Stopped) else "detbox: error:"
    print(f"{head} {ours}", file=sys.stderr)
    return ours.exit_code


def _as_ours(error: BaseException, command: str = "") -> DetboxError | None:
    """The error as one of detbox's own, or None for an internal error. TensorFlow's classes are known by name: this is
    the one place that may see them without importing TensorFlow.

    A signal's Stopped that is raised while a graph is traced comes out as TensorFlow's error, with it as context.
    """
    if isinstance(error, Interrupted):
        return error.stopped
    if isinstance(error, DetboxError):
        return error
    raised: BaseException | None = error
    while raised and (raised := raised.__context__):
        if isinstance(raised, Stopped):
            return raised
    if isinstance(error, KeyboardInterrupt):
        return Stopped("interrupted", signal_number=signal.SIGINT)
    if what := _disk_failure(error):
        where = str(getattr(error, "filename", None) or "")
        return SettingsError(what.lower(), where=where, remedy=DISK_REMEDY)
    if is_out_of_memory(error):
        remedy = f"a smaller {flag(SIZE_OF_BATCH.get(command, 'batch_size'))}, or a smaller model"
        return OutOfMemoryError(f"out of memory: {describe(error)}", remedy=remedy)
    return None


def _disk_failure(error: BaseException) -> str:
    """The system's words for why something could not be written; empty for an error of another kind."""
    if isinstance(error, OSError) and error.errno in CANT_WRITE:
        return error.strerror or os.strerror(error.errno)
    return next((words for words in map(os.strerror, DISK_FAILS) if words in str(error)), "")


def _report_internal_error(error: BaseException, job: Job | None) -> None:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    kept = _keep_traceback(error, job)
    remedy = f"traceback in {kept}" if kept else "run it again with --debug for the traceback"
    summary = escape_controls(textwrap.shorten(f"{type(error).__name__}: {error}", 200, placeholder=" ..."))
    print(f"detbox: internal error: {summary} (at {place}) -> {remedy}", file=sys.stderr)


def _keep_traceback(error: BaseException, job: Job | None) -> Path | None:
    try:
        path = _log_file(job) if job else None
        if path is None:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
        return path
    except (OSError, DetboxError):
        return None
