"""TensorBoard on the events of a run."""

import contextlib
import io
import logging
import os
import signal
import socket
import sys
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path

from app.errors import DetboxError, SettingsError
from app.settings import flag

logger = logging.getLogger(__name__)

FREE_PORTS_TRIED = 100
LINGER_SECONDS = 10.0
"""For a page that is open to load the last values: TensorBoard reads the events anew every 5 s."""


def serve(logdir: Path, *, host: str, port: int, samples_per_plugin: str) -> None:
    """Serves `logdir` until a signal ends it. Port 0 is any free one.

    Raises SettingsError if it can't listen on `host` and `port`.
    """
    if not is_free(host, port):
        raise SettingsError(
            f"{host}:{port} can't be listened on (in use?)",
            where="TensorBoard",
            remedy=f"another {flag('tensorboard_port')}; 0 takes any free one",
        )
    port = port or free_port(host, 0)
    program = _program()
    program.configure(argv=["tensorboard", *flags(logdir, host, port, samples_per_plugin)])
    logger.info("tensorboard | %s | %s", url(host, port), logdir)
    # At INFO the data server is told to be verbose, and writes two lines into the log every five seconds.
    logging.getLogger("tensorboard").setLevel(logging.WARNING)
    words = io.StringIO()  # its greeting, and tips that are not ours to give
    with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
        try:
            code = program.main()
        except SystemExit as ended:
            code = ended.code
    if code:
        said = (words.getvalue().strip() or "without a word").splitlines()[-1]
        raise DetboxError(f"ended with code {code}: {said}", where="TensorBoard")


def end_when(is_over: Callable[[], bool], *, every: float = 2.0, linger: float = LINGER_SECONDS) -> None:
    """Has this process end, with code 0, `linger` seconds after `is_over()` is first true."""

    def wait() -> None:
        while not is_over():
            time.sleep(every)
        logger.info("tensorboard | the run has ended, and so does this; the same command shows it again")
        time.sleep(linger)
        os.kill(os.getpid(), signal.SIGTERM)  # TensorBoard's own handler: it ends its data server, then exits 0

    threading.Thread(target=wait, daemon=True).start()


def flags(logdir: Path, host: str, port: int, samples_per_plugin: str) -> list[str]:
    """TensorBoard's own flags. `reload_interval`: seconds; its default of 5 is kept."""
    return [
        f"--logdir={logdir}",
        f"--host={host}",
        f"--port={port}",
        f"--samples_per_plugin={samples_per_plugin}",
    ]


def url(host: str, port: int) -> str:
    """The address for a browser on this machine."""
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::", "::1", "") else host
    return f"http://{shown}:{port}/"


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
        return True
    except OSError:
        return False


def free_port(host: str, port: int) -> int:
    """`port`, or the next free one after it; any free one for 0."""
    if port == 0:
        with socket.socket(socket.getaddrinfo(host, 0)[0][0]) as probe:
            probe.bind((host, 0))
            return probe.getsockname()[1]
    for candidate in range(port, min(port + FREE_PORTS_TRIED, 65536)):
        if is_free(host, candidate):
            return candidate
    raise SettingsError(
        f"no port from {port} on is free on {host}",
        where="TensorBoard",
        remedy=f"{flag('tensorboard_port', '0')}, or another --tensorboard_host",
    )


def is_listening(host: str, port: int) -> bool:
    """Whether something answers there."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    try:
        with socket.create_connection((target, port), timeout=0.2):
            return True
    except OSError:
        return False


def _program():
    # TensorBoard takes its stub of TensorFlow where a module of this name exists (tensorboard/compat).
    # The real one would cost seconds at the start, half a gigabyte, and a GPU's memory.
    sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
    from tensorboard import default, program

    return program.TensorBoard(plugins=default.get_plugins())
