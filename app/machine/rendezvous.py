"""Workers wait for each other before TensorFlow connects them: its own wait hears no signal and names nobody."""

import contextlib
import errno
import select
import socket
import time
from collections.abc import Callable

from app.errors import SettingsError, WorkerLostError
from app.humanize import list_names
from app.machine.cluster import Cluster
from app.settings import flag

GO = b"go"
TICK_SECONDS = 1.0
TRY_SECONDS = 5.0
NAMED = 5


def meet(cluster: Cluster, wait_secs: float, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Returns in every worker when all are there, at the chief's address; its port is free again then.

    Raises WorkerLostError if they are not within `wait_secs`, SettingsError for a port that is taken.
    """
    until = clock() + wait_secs
    with contextlib.closing(_listen(cluster)) as own:
        if cluster.is_chief:
            _gather(cluster, own, until, clock)
            return
    while not _report(cluster, until, clock):
        if clock() >= until:
            raise _missing(cluster, [0])
        time.sleep(TICK_SECONDS)


def _listen(cluster: Cluster) -> socket.socket:
    """A socket at this worker's own port. TensorFlow's would share one that is taken, without a word."""
    port = int(cluster.workers[cluster.index].rpartition(":")[2])
    try:
        return socket.create_server(("", port))
    except OSError as error:
        what = "is in use" if error.errno == errno.EADDRINUSE else f"can't be listened on: {error.strerror}"
        raise SettingsError(
            f"port {port} of worker {cluster.index} {what}", where=cluster.source, remedy=flag("worker_port")
        ) from None


def _gather(cluster: Cluster, listener: socket.socket, until: float, clock: Callable[[], float]) -> None:
    """Waits for each of the others, and lets all go at once. One that goes away meanwhile is waited for again."""
    there: dict[int, socket.socket] = {}
    try:
        while len(there) < cluster.size - 1:
            if clock() >= until:
                raise _missing(cluster, sorted(set(range(1, cluster.size)) - set(there)))
            readable, _, _ = select.select([listener, *there.values()], [], [], TICK_SECONDS)
            for index in [index for index, one in there.items() if one in readable]:
                there.pop(index).close()
            if listener in readable:
                connection, _ = listener.accept()
                index = _read_index(connection)
                if 0 < index < cluster.size:
                    there.pop(index, connection)
                    there[index] = connection
                else:
                    connection.close()
        for connection in there.values():
            connection.sendall(GO)
    finally:
        for connection in there.values():
            connection.close()


def _read_index(connection: socket.socket) -> int:
    """The index that a worker says; -1 for a stranger, such as a probe."""
    connection.settimeout(TRY_SECONDS)
    try:
        line = connection.makefile("rb").readline(16).strip()
    except OSError:
        return -1
    return int(line) if line.isdigit() else -1


def _report(cluster: Cluster, until: float, clock: Callable[[], float]) -> bool:
    """Tells the chief that this worker is there; whether all are. False where no chief listens yet."""
    host, _, port = cluster.workers[0].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=TRY_SECONDS) as connection:
            connection.sendall(b"%d\n" % cluster.index)
            while clock() < until:
                if select.select([connection], [], [], TICK_SECONDS)[0]:
                    return connection.recv(len(GO)) == GO
    except OSError:
        pass
    return False


def _missing(cluster: Cluster, indices: list[int]) -> WorkerLostError:
    names = list_names([f"{index} ({cluster.workers[index]})" for index in indices], NAMED)
    return WorkerLostError(
        f"did not find worker {names} in time",
        where=f"worker {cluster.index}",
        remedy=f"the same command on every machine, ports open; {flag('worker_wait_secs')}",
    )
