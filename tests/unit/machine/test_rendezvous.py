"""Workers that wait for each other, on this machine, without TensorFlow."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from refusals import refused

from app.errors import SettingsError, WorkerLostError
from app.machine import rendezvous
from app.machine.cluster import Cluster

ROOT = Path(__file__).parents[3]


def free_ports(count):
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture
def workers():
    """Three workers of one cluster."""
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(3))
    return [Cluster(addresses, index, "TF_CONFIG") for index in range(3)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_they_go_when_all_are_there(workers, order):
    """In whichever order they come; a probe that connects and goes is none of them."""
    with ThreadPoolExecutor(3) as pool:
        going = []
        for index in order:
            going.append(pool.submit(rendezvous.meet, workers[index], 30))
            time.sleep(0.2)
            if index == 0:
                port = int(workers[0].workers[0].rpartition(":")[2])
                socket.create_connection(("127.0.0.1", port)).close()
            assert len(going) == 3 or not any(one.done() for one in going)
        for one in going:
            one.result(timeout=30)


def test_those_that_do_not_come_are_named(workers):
    """By the chief with their addresses, by the others the chief."""
    with ThreadPoolExecutor(2) as pool:
        chief, other = (pool.submit(rendezvous.meet, workers[index], 2) for index in (0, 1))
        with refused(WorkerLostError, where="worker 0", flag="--worker_wait_secs", about=workers[0].workers[2]):
            chief.result(timeout=30)
        with refused(WorkerLostError, where="worker 1", about=workers[0].workers[0]):
            other.result(timeout=30)


def test_a_port_that_is_taken_is_refused(workers):
    """Two runs on one machine need two ports."""
    with (
        socket.create_server(("", int(workers[1].workers[1].rpartition(":")[2]))),
        refused(SettingsError, flag="--worker_port", about="worker 1"),
    ):
        rendezvous.meet(workers[1], 5)


@pytest.mark.parametrize("index", [0, 1])
def test_a_signal_ends_the_wait(workers, index):
    """At once: whoever ends a job does not wait for workers that never come."""
    program = (
        "from app.machine import rendezvous; from app.machine.cluster import Cluster; "
        f"print('waits', flush=True); rendezvous.meet(Cluster({workers[0].workers}, {index}, 'x'), 60)"
    )
    waiting = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    with waiting:
        assert waiting.stdout and waiting.stdout.readline() == b"waits\n"
        time.sleep(0.5)
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(timeout=10) == -signal.SIGTERM
