"""Which processes train together, and which of them this one is, by what a launcher has put into the environment."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import SettingsError
from app.machine import hostlist
from app.settings import Settings, flag

Environ = Mapping[str, str]

NO_WORKERS = {
    "ps": "parameter servers are TF1's way to train: every machine is a worker here",
    "evaluator": "an evaluator is no worker of the cluster: run detbox evaluate on it, without TF_CONFIG",
}


@dataclass(frozen=True)
class Cluster:
    """The workers of a run, `host:port` each, the chief first; `index` is this process's own place among them.

    `source`: whose variables say so. `gpus`: GPUs that the launcher has given to each worker, None if it does not say.
    """

    workers: tuple[str, ...]
    index: int
    source: str
    gpus: int | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what the run is."""
        return self.index == 0

    @property
    def size(self) -> int:
        return len(self.workers)

    def describe(self) -> str:
        """`worker 1 of 0 to 3 (SkyPilot), chief 10.0.0.1:2222`."""
        return f"worker {self.index} of 0 to {self.size - 1} ({self.source}), chief {self.workers[0]}"


def cluster_of(settings: Settings) -> Cluster | None:
    """The workers that this process is one of; None if it trains alone. Raises SettingsError."""
    workers, service = settings.workers, settings.worker_service
    return find_cluster(os.environ, port=settings.worker_port, workers=workers, service=service)


def find_cluster(environ: Environ, *, port: int, workers: int = 0, service: str = "") -> Cluster | None:
    """The cluster that the environment describes; None where this process trains alone.

    `TF_CONFIG` wins over the variables of an indexed Kubernetes Job, those over SkyPilot's, those over Slurm's.
    `port`: where workers listen, for all but `TF_CONFIG`. `workers`: how many there must be, 0 for as many as
    described. `service`: the headless service of the Job's pods.
    Raises SettingsError for variables that make no cluster, or one of another size than `workers`.
    """
    readers: tuple[Callable[[], Cluster | None], ...] = (
        lambda: _from_tf_config(environ),
        lambda: _from_kubernetes(environ, port, workers, service),
        lambda: _from_skypilot(environ, port),
        lambda: _from_slurm(environ, port),
    )
    found = next((cluster for read in readers if (cluster := read())), None)
    if found:
        _check(found)
    size = found.size if found else 1
    if workers and size != workers:
        what = f"{found.source} describes {size}" if found else "nothing says which of them this process is"
        raise SettingsError(f"workers is {workers}, and {what}", where="environment", remedy=flag("workers", str(size)))
    return found if size > 1 else None


def count_workers(workers: int, environ: Environ | None = None) -> int:
    """How many will train, as far as it is known to a process that is none of them; `workers` as it was given."""
    environ = os.environ if environ is None else environ
    if workers:
        return workers
    if environ.get("TF_CONFIG", "").strip():
        return max(len(_addresses(_read_tf_config(environ["TF_CONFIG"]))), 1)
    return max(len(environ.get("SKYPILOT_NODE_IPS", "").split()), 1)


def _check(cluster: Cluster) -> None:
    where = cluster.source
    if not 0 <= cluster.index < cluster.size:
        last = cluster.size - 1
        raise SettingsError(f"index {cluster.index} is none of 0 to {last}", where=where, remedy=_remedy(where))
    for address in cluster.workers:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise SettingsError(f"{address!r} is no host:port", where=where, remedy=_remedy(where))
    if twice := next((a for a in cluster.workers if cluster.workers.count(a) > 1), ""):
        raise SettingsError(f"two workers have the address {twice}", where=where, remedy=_remedy(where))


def _remedy(source: str) -> str:
    return f"set what {source} says right, or unset it to train on this machine alone"


def _from_tf_config(environ: Environ) -> Cluster | None:
    text = environ.get("TF_CONFIG", "")
    if not text.strip():
        return None
    config = _read_tf_config(text)
    workers, task = _addresses(config), config.get("task")
    if not workers:
        return None
    if not isinstance(task, dict) or not isinstance(task.get("type"), str) or type(task.get("index")) is not int:
        raise _fault('has no "task" with a "type" and an "index"')
    kind, index = task["type"], task["index"]
    if kind in NO_WORKERS:
        raise SettingsError(f"this task is a {kind}", where="TF_CONFIG", remedy=NO_WORKERS[kind])
    chiefs = len(_listed(config, "chief") or _listed(config, "master"))
    if kind in ("chief", "master"):
        place, there = index, chiefs
    elif kind == "worker":
        place, there = index + chiefs, len(workers)
    else:
        raise _fault(f"task type {kind!r} is none of chief, worker")
    if index < 0 or place >= there:
        raise _fault(f"has no {kind} {index} in its cluster")
    return Cluster(workers, place, "TF_CONFIG")


def _read_tf_config(text: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _fault(f"is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise _fault("is no JSON object")
    return config


def _addresses(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The chief, if the cluster names one, then the workers."""
    if _listed(config, "ps"):
        raise SettingsError("the cluster has a ps", where="TF_CONFIG", remedy=NO_WORKERS["ps"])
    chiefs = _listed(config, "chief") or _listed(config, "master")
    if len(chiefs) > 1:
        raise _fault(f"names {len(chiefs)} chiefs")
    return (*chiefs, *_listed(config, "worker"))


def _listed(config: Mapping[str, Any], kind: str) -> list[str]:
    cluster = config.get("cluster") or {}
    addresses = (cluster.get(kind) or []) if isinstance(cluster, dict) else None
    if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
        raise _fault(f'"cluster" has no list of addresses as its {kind}')
    return addresses


def _fault(what: str) -> SettingsError:
    remedy = """{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}, or unset it"""
    return SettingsError(what, where="TF_CONFIG", remedy=remedy)


def _from_kubernetes(environ: Environ, port: int, workers: int, service: str) -> Cluster | None:
    """An indexed Job's pod: its host name ends in its index, and the others' differ in that alone."""
    if "JOB_COMPLETION_INDEX" not in environ or workers < 2:  # An index alone may be one of a sweep.
        return None
    index = _number(environ, "JOB_COMPLETION_INDEX", "Kubernetes")
    host = environ.get("HOSTNAME", "").partition(".")[0]
    job, _, last = host.rpartition("-")
    if not job or last != str(index):
        what = f"HOSTNAME {host!r} does not end in the index {index}"
        raise SettingsError(what, where="Kubernetes", remedy="make the Job's completionMode Indexed")
    if not service:
        what = "the pods' addresses need the name of their headless service"
        raise SettingsError(what, where="Kubernetes", remedy=flag("worker_service", "SUBDOMAIN"))
    return Cluster(tuple(f"{job}-{i}.{service}:{port}" for i in range(workers)), index, "Kubernetes")


def _from_skypilot(environ: Environ, port: int) -> Cluster | None:
    hosts = environ.get("SKYPILOT_NODE_IPS", "").split()
    if not hosts:
        return None
    gpus = _number(environ, "SKYPILOT_NUM_GPUS_PER_NODE", "SkyPilot", "0")
    index = _number(environ, "SKYPILOT_NODE_RANK", "SkyPilot")
    return Cluster(tuple(f"{host}:{port}" for host in hosts), index, "SkyPilot", gpus or None)


def _from_slurm(environ: Environ, port: int) -> Cluster | None:
    """A task of a step; a batch script has the job's variables too, and its process is no task of anything."""
    nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST") or environ.get("SLURM_NODELIST")
    rank = environ.get("SLURM_PROCID")
    if not nodes or rank is None or ("SLURM_STEP_ID" not in environ and rank == "0"):
        return None
    tasks = _number(environ, "SLURM_STEP_NUM_TASKS", "Slurm", environ.get("SLURM_NTASKS", ""))
    try:
        hosts = hostlist.expand(nodes)
        counts = _tasks_per_node(environ, tasks, len(hosts))
    except ValueError as error:
        raise SettingsError(str(error), where="Slurm", remedy=_remedy("Slurm")) from None
    if max(counts) > 1 and environ.get("SLURM_DISTRIBUTION", "block").partition(":")[0] not in ("block", ""):
        what = f"tasks are laid out by {environ['SLURM_DISTRIBUTION']!r}, and a node has several"
        raise SettingsError(what, where="Slurm", remedy="srun --distribution=block, or --ntasks-per-node=1")
    places = [(host, nth) for host, count in zip(hosts, counts, strict=True) for nth in range(count)]
    return Cluster(tuple(f"{host}:{port + nth}" for host, nth in places), _number(environ, "SLURM_PROCID"), "Slurm")


def _tasks_per_node(environ: Environ, tasks: int, nodes: int) -> list[int]:
    text = environ.get("SLURM_STEP_TASKS_PER_NODE") or environ.get("SLURM_TASKS_PER_NODE", "")
    counts = hostlist.expand_counts(text) if text else [tasks // max(nodes, 1)] * nodes
    if sum(counts) != tasks or len(counts) != nodes:
        raise ValueError(f"{tasks} tasks are not {text or 'evenly'!r} on {nodes} nodes")
    return counts


def _number(environ: Environ, name: str, source: str = "Slurm", default: str = "") -> int:
    text = environ.get(name, default).strip()
    if not text.isdecimal():
        raise SettingsError(f"{name}={text!r} is no number", where=source, remedy=_remedy(source))
    return int(text)
