"""The workers of a run as TensorFlow connects them, and the words that they exchange beside its collectives."""

import contextlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import object_detection  # noqa: F401  chooses legacy Keras before TensorFlow is imported
import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context

from app.errors import DetboxError, SettingsError, WorkerLostError
from app.machine import rendezvous
from app.machine.cluster import Cluster
from app.odapi import runtime
from app.run.heartbeat import first_line
from app.settings import flag
from app.training.agreement import Agreement

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 20
"""A worker of which nothing is heard for so long is lost, and the others end."""
REGISTER_SECONDS = 120
"""What TensorFlow may take to connect workers that are all there."""
END_SECONDS = 600
"""What the chief may take to write down the end of the run."""
JOB = "worker"
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.CancelledError,
)
COLLECTIVE = re.compile(r"collective|coordination|unhealthy|heartbeat", re.IGNORECASE)
TASK = re.compile(r"/task:(\d+)")
REPORTED = re.compile(r"detbox: ([^\n]*)")


class Alone:
    """The only worker of a run: nobody is waited for."""

    is_chief = True
    size = 1

    def __init__(self) -> None:
        self.strategy = runtime.strategy(tf)

    def share(self, value: dict[str, Any] | None = None) -> dict[str, Any]:
        return value or {}

    def seed(self, seed: int) -> None:
        tf.keras.utils.set_random_seed(seed)

    def agreement(self) -> Agreement | None:
        return None

    def end(self) -> None:
        pass

    def losses_named(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class Workers:
    """This process as one of a cluster's workers, joined to the others; `strategy` is what they train by."""

    def __init__(self, cluster: Cluster, *, wait_secs: int):
        """Joins, which comes before any TensorFlow op. Raises WorkerLostError if not all come within `wait_secs`."""
        self.cluster, self.is_chief, self.size = cluster, cluster.is_chief, cluster.size
        self._said = 0
        logger.info("workers | %s | waiting for the others, up to %d s", cluster.describe(), wait_secs)
        rendezvous.meet(cluster, wait_secs)
        # As MultiWorkerMirroredStrategy has it, but for the timeouts.
        context.context().configure_coordination_service(
            service_type="standalone",
            service_leader=f"/job:{JOB}/replica:0/task:0",
            cluster_register_timeout_in_ms=REGISTER_SECONDS * 1000,
            heartbeat_timeout_in_ms=HEARTBEAT_SECONDS * 1000,
            coordinated_jobs=[coordination_config_pb2.CoordinatedJob(name=JOB, num_tasks=cluster.size)],
        )
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({JOB: list(cluster.workers)}), task_type=JOB, task_id=cluster.index, rpc_layer="grpc"
        )
        try:
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
        except tf.errors.OpError as error:
            raise WorkerLostError(
                f"could not connect with the others: {first_line(error)}",
                where=f"worker {cluster.index}",
                remedy=f"every worker must reach every other's port, {flag('worker_port')}",
            ) from error
        self._sum = tf.function(self._sum_over_replicas, autograph=False)
        self._check_devices()

    def _sum_over_replicas(self, numbers: Any) -> Any:
        return self.strategy.reduce("SUM", self.strategy.run(tf.identity, (numbers,)), axis=None)

    def share(self, value: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the chief says: its `value`, a JSON object; the others give none and wait for it."""
        self._said += 1
        key = f"detbox/{self._said}"
        if self.is_chief:
            context.context().set_config_key_value(key, json.dumps(value))
            return value or {}
        with self.losses_named():
            found: dict[str, Any] = json.loads(context.context().get_config_key_value(key))
        return found

    def seed(self, seed: int) -> None:
        """Before each loop: workers share the record files out in an order that each draws for itself."""
        tf.keras.utils.set_random_seed(seed)

    def agreement(self) -> Agreement | None:
        """How the workers' loops stop and save at the same step; a new one for each loop."""
        return Agreement(self.total, is_chief=self.is_chief)

    def total(self, numbers: Sequence[int]) -> list[int]:
        """The sums of all workers' `numbers`, place by place; all must call it at the same point."""
        summed = self._sum(tf.constant(list(numbers), tf.int32))
        here = self.strategy.num_replicas_in_sync // self.size
        return [int(number) // here for number in summed.numpy()]

    def end(self) -> None:
        """Waits until each worker has come to its end: one that is gone earlier is a loss to the others."""
        with self.losses_named():
            context.context().wait_at_barrier("detbox/end", END_SECONDS * 1000)

    @contextlib.contextmanager
    def losses_named(self) -> Iterator[None]:
        """Raises WorkerLostError for what TensorFlow says of a lost worker; tells the others of other errors."""
        try:
            yield
        except WorkerLostError:
            raise
        except Exception as error:
            if lost := self._lost(error):
                raise lost from error
            self._report(error)
            raise

    def _lost(self, error: Exception) -> WorkerLostError | None:
        text = str(error)
        if not is_loss(error):
            return None
        others = sorted({int(number) for number in TASK.findall(text)} - {self.cluster.index})
        who = ", ".join(f"worker {number} ({self.cluster.workers[number]})" for number in others[:4] or [0])
        said = REPORTED.search(text)
        return WorkerLostError(
            f"{who} ended: {said[1].strip()[:300]}" if said else f"{who} is gone",
            where=f"worker {self.cluster.index}",
            remedy="see its log; the same command on every machine goes on from the last checkpoint",
        )

    def _report(self, error: Exception) -> None:
        """Ends the others with this worker's error: without it, their next step would wait for a step of this one."""
        what = str(error) if isinstance(error, DetboxError) else f"{type(error).__name__}: {first_line(error)}"
        with contextlib.suppress(Exception):
            context.context().report_error_to_cluster(tf.errors.UNAVAILABLE, f"detbox: {what[:300]}")

    def _check_devices(self) -> None:
        """Collectives want as many devices of each worker: unequal ones would wait for ever. Raises SettingsError."""
        gpus = len(tf.config.list_logical_devices("GPU"))
        store = context.context()
        store.set_config_key_value(f"detbox/gpus/{self.cluster.index}", str(gpus))
        with self.losses_named():
            there = [int(store.get_config_key_value(f"detbox/gpus/{i}")) for i in range(self.cluster.size)]
        if len(set(there)) > 1:
            said = ", ".join(f"worker {number} has {count}" for number, count in enumerate(there))
            raise SettingsError(
                f"workers have different numbers of GPUs: {said}",
                where=f"worker {self.cluster.index}",
                remedy="CUDA_VISIBLE_DEVICES gives each as many; detbox doctor says why one is not used",
            )
        if self.cluster.gpus is not None and gpus != self.cluster.gpus:
            said = f"{self.cluster.source} gave this worker {self.cluster.gpus} GPUs"
            logger.warning("workers | %s, TensorFlow uses %d -> detbox doctor says why", said, gpus)


def is_loss(error: Exception) -> bool:
    """Whether it is TensorFlow's for a worker that is gone."""
    collective = isinstance(error, tf.errors.OpError) and COLLECTIVE.search(str(error))
    return isinstance(error, LOST) or bool(collective)


def join(cluster: Cluster | None, *, wait_secs: int) -> Alone | Workers:
    """The workers of this process' cluster, all there. Raises WorkerLostError, SettingsError."""
    return Workers(cluster, wait_secs=wait_secs) if cluster else Alone()
