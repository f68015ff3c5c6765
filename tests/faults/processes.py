"""Processes of detbox that faults are injected into, started as a user does or forked from one that has imported all.

Importing TensorFlow is most of a start. So this process imports it, and everything that `train` and `evaluate` import,
but runs nothing of it; a fork of it then runs the same `entrypoint.__main__.main` as a user's command does.
"""

import contextlib
import ctypes
import gc
import importlib
import multiprocessing.connection
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from app.log import native_output_dropped

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "object_detection", "tensorflow", "app.odapi.checkpoint_files", "app.odapi.runtime", "app.odapi.train_events",
    "app.odapi.train_loop", "app.odapi.evaluator", "app.odapi.eval_events", "app.odapi.models",
    "app.odapi.checkpoint_detector", "app.jobs.prepare", "app.jobs.train", "app.jobs.evaluate", "entrypoint.process",
    "entrypoint.__main__", "fire", "app.machine.gpus", "app.machine.odapi_build", "app.training.trainer",
    "app.training.watchdog",
)  # fmt: skip
POLL_SECONDS = 0.01


def import_all() -> None:
    """Imports what forks need; to be called before the first. Nothing of TensorFlow may run in this process."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with native_output_dropped():
        for name in IMPORTED:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # Else the collector goes through all modules again and again in each fork.


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends, however it ends."""
    pr_set_pdeathsig = 1  # linux/prctl.h
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def environment(**extra: str) -> dict[str, str]:
    """That of a user who has given detbox nothing by it."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DETBOX_")}
    return {**kept, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(ROOT), **extra}


class Process:
    """A command of detbox in a session of its own, whose output goes to the file `log`."""

    def __init__(self, arguments: Sequence[str], log: Path, *, cwd: Path, forked: bool, **extra: str):
        self.log, self.forked, self.started = log, forked, time.time()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._program: subprocess.Popen[bytes] | None = None
        self._code: int | None = None
        if forked:
            self.pid = fork(lambda: _run(arguments, extra, log, cwd))
        else:
            with open(log, "wb") as output:
                self._program = subprocess.Popen(
                    [sys.executable, "-P", "-m", "entrypoint", *arguments],
                    cwd=cwd, env=environment(**extra), stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent,
                )  # fmt: skip
            self.pid = self._program.pid

    @property
    def code(self) -> int | None:
        """The exit code, minus n for one that signal n has ended; None while it runs."""
        if self._program:
            return self._program.poll()
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def send(self, number: int) -> None:
        """Sends a signal to this process alone."""
        if self.code is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """The exit code; TimeoutError if there is none in time."""
        self.watch(lambda: False, seconds)
        if self.code is None:
            raise TimeoutError(f"process {self.pid} did not end within {seconds:.0f} s")
        return self.code

    def watch(self, condition: Callable[[], Any], seconds: float, poll: float = POLL_SECONDS) -> bool:
        """Waits until `condition()`, the end of the process or of the time; whether it was `condition()`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                return True
            if self.code is not None:
                return False
            time.sleep(poll)
        return False

    def family(self) -> list[psutil.Process]:
        """This process and all that it has started, itself first."""
        try:
            own = psutil.Process(self.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def end(self) -> None:
        """Kills it with all that it has started, at one moment: none sees another die."""
        family = self.family()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
        self.wait(20)
        psutil.wait_procs(family[1:], timeout=20)

    def text(self) -> str:
        """What it has written so far, whole lines only."""
        try:
            text = self.log.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return text if self._code is not None else text[: text.rfind("\n") + 1]


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """The value of `function(*arguments)` in a fork, which may use TensorFlow; RuntimeError with its traceback."""
    reader, writer = multiprocessing.connection.Pipe(duplex=False)

    def run() -> int:
        try:
            writer.send((True, function(*arguments)))
        except BaseException:
            writer.send((False, traceback.format_exc()))
        return 0

    pid = fork(run)
    writer.close()
    try:
        ended_well, value = reader.recv()
    except EOFError:
        ended_well, value = False, "the fork was killed"
    os.waitpid(pid, 0)
    reader.close()
    if not ended_well:
        raise RuntimeError(value)
    return value


def fork(run: Callable[[], int]) -> int:
    """The process that runs `run` and ends with the code that it gives."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            die_with_parent()
            code = run()
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    return pid


def _run(arguments: Sequence[str], extra: dict[str, str], log: Path, cwd: Path) -> int:
    """What a forked command does before it is one: a session, a folder, an environment and an output of its own."""
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment(**extra))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY)):
        handle = os.open(os.devnull if number == 0 else log, flags | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    os.dup2(1, 2)
    if "FAULTS_CLOCK" in extra:
        _jump_by(Path(extra["FAULTS_CLOCK"]))
    sys.argv = ["detbox", *arguments]
    from entrypoint.__main__ import main

    return main()


def _jump_by(file: Path) -> None:
    """Has `time.time` be off by as many seconds as the file says, from the moment on that it says so."""
    real = time.time

    def jumped() -> float:
        try:
            return real() + float(file.read_text())
        except (OSError, ValueError):
            return real()

    time.time = jumped
