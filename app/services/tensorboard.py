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
from typing import Any

from app.errors import DetboxError, SettingsError
from app.run.directory import Run
from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, process_number
from app.settings import flag

logger = logging.getLogger(__name__)

FREE_PORTS_TRIED = 100
KEPT = Schema({"port": process_number})


def serve(logdir: Path, *, host: str, port: int, samples_per_plugin: str, published: str = "") -> None:
    """Serves `logdir` until a signal ends it. Port 0 is any free one.

    `published`: host and port where it is reached, if that is elsewhere, as in a container.

    Raises SettingsError if it can't listen on `host` and `port`.
    """
    if not is_free(host, port):
        raise SettingsError(
            f"{host}:{port} can't be listened on (in use?)",
            where="TensorBoard",
            remedy=f"another {flag('tensorboard_port')}; 0 takes any free one",
        )
    port = port or find_free_port(host, 0)
    program = _tensorboard_program()
    program.configure(argv=["tensorboard", *arguments(logdir, host, port, samples_per_plugin)])
    logger.info("tensorboard | %s | %s", _published_url(published) if published else url(host, port), logdir)
    # At INFO the data server is verbose: two lines in the log every five seconds.
    logging.getLogger("tensorboard").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # TensorBoard's own handler ends well, after it has called ours.
    output = io.StringIO()  # TensorBoard's greeting and tips, which are not detbox's
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            code = program.main()
        except SystemExit as ended:
            code = ended.code
    if code:
        message = (output.getvalue().strip() or "no message").splitlines()[-1]
        raise DetboxError(f"ended with code {code}: {message}", where="TensorBoard")


def end_when(is_over: Callable[[], bool], *, every: float = 2.0, linger: float) -> None:
    """Ends this process, with code 0, `linger` seconds after `is_over()` is first true.

    An open page needs some to load the last values: TensorBoard reads the events again every 5 s.
    """

    def wait() -> None:
        while not is_over():
            time.sleep(every)
        logger.info("tensorboard | the run has ended, and TensorBoard ends; the same command shows it again")
        time.sleep(linger)
        os.kill(os.getpid(), signal.SIGTERM)  # TensorBoard's own handler: it ends its data server, then exits 0

    threading.Thread(target=wait, daemon=True).start()


def arguments(logdir: Path, host: str, port: int, samples_per_plugin: str) -> list[str]:
    """TensorBoard's own command line. `reload_interval`: seconds; its default of 5 is kept."""
    return [f"--logdir={logdir}", f"--host={host}", f"--port={port}", f"--samples_per_plugin={samples_per_plugin}"]


def url(host: str, port: int) -> str:
    """The address for a browser on this machine."""
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::", "::1", "") else host
    return f"http://{shown}:{port}/"


def _published_url(published: str) -> str:
    host, _, port = published.rpartition(":")
    return "docker compose port tensorboard 6006 names its address" if port == "0" else url(host, int(port))


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


def find_free_port(host: str, port: int) -> int:
    """`port`, or the next free one after it; any free one for 0."""
    if port == 0:
        with socket.socket(socket.getaddrinfo(host, 0)[0][0]) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])
    for candidate in range(port, min(port + FREE_PORTS_TRIED, 65536)):
        if is_free(host, candidate):
            return candidate
    raise SettingsError(
        f"no port from {port} on is free on {host}",
        where="TensorBoard",
        remedy=f"{flag('tensorboard_port', '0')}, or another {flag('tensorboard_host')}",
    )


def choose_port(run: Run, host: str, port: int, *, is_given: bool) -> int:
    """The port for the TensorBoard of `run`: `port`, or the next free one, which it keeps from then on.

    One that was given is only changed where it is in use.
    """
    kept = read_object(run.status("tensorboard"), KEPT).get("port", port)
    chosen = kept if kept and not is_given and is_free(host, kept) else find_free_port(host, port)
    if port not in (0, chosen):
        logger.info("port %d is in use: TensorBoard uses %d", port, chosen)
    if chosen != kept and port:
        write_json(run.status("tensorboard"), {"port": chosen})
    return chosen


def is_listening(host: str, port: int) -> bool:
    """Whether something answers there."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    try:
        with socket.create_connection((target, port), timeout=0.2):
            return True
    except OSError:
        return False


def _tensorboard_program() -> Any:
    # TensorBoard takes its stub of TensorFlow where a module of this name exists (tensorboard/compat).
    # The real one would cost seconds at the start, half a gigabyte, and a GPU's memory.
    sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
    from tensorboard import default, program

    return program.TensorBoard(plugins=default.get_plugins())
