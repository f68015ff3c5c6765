"""The processes that write shards."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from app.dataset import shards
from app.dataset.progress import Progress
from app.dataset.shards import Shard, Written
from app.errors import DatasetError

ALONE_BELOW = 48 << 20
"""Bytes of pictures for which no worker processes are started: they would take longer to start than to
help."""


def write(plan: list[Shard], workers: int | None, report: Progress) -> list[Written]:
    """Writes the planned shards on `workers` processes (None: one for each CPU), fewer where that is faster.

    `report(done, of)` counts pictures. Raises DatasetError if a process is killed.
    """
    total = sum(len(shard.pictures) for shard in plan)
    workers = min(workers or _cpus(), len(plan))
    if workers < 2 or _size(plan) < ALONE_BELOW:
        done = iter(range(1, total + 1))
        return [shards.write(shard, lambda: report(next(done), total)) for shard in plan]
    # Spawned, not forked: the caller may have threads (TensorFlow), and a fork copies their locks.
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_count_into, initargs=(counter,)) as pool:
        futures = [pool.submit(_write_counted, shard) for shard in plan]
        try:
            waiting = set(futures)
            while waiting:
                ended, waiting = wait(waiting, timeout=0.2)
                report(counter.value, total)
                for future in ended:
                    future.result()
        except BrokenProcessPool:
            raise DatasetError(
                "a worker process was killed, most likely for want of memory", remedy="try again with more"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return [future.result() for future in futures]


def _size(plan: list[Shard]) -> int:
    paths = (picture.path for shard in plan for picture in shard.pictures)
    return sum(path.stat().st_size for path in paths if path.exists())


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_counter = None


def _count_into(counter) -> None:
    """Gives a worker process the counter of finished pictures that all share."""
    global _counter
    _counter = counter


def _write_counted(shard: Shard) -> Written:
    def done() -> None:
        with _counter.get_lock():
            _counter.value += 1

    return shards.write(shard, done)
