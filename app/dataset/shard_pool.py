"""The processes that write shards."""

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from app.dataset import shards
from app.dataset.shards import Shard, Written
from app.errors import DatasetError
from app.machine.cores import usable_cores
from app.progress import Progress

ALONE_BELOW, FEW = 48 << 20, 2000
"""Bytes and number of images below which no worker processes are started: they would take longer to start than to
help."""


def write(plan: list[Shard], workers: int | None, report: Progress) -> list[Written]:
    """Writes the planned shards on `workers` processes (None: one for each CPU), fewer where that is faster.

    `report(done, of)` counts images. Raises DatasetError if a process is killed.
    """
    total = sum(len(shard.images) for shard in plan)
    workers = min(workers or usable_cores(), len(plan))
    if workers < 2 or (total < FEW and _size(plan) < ALONE_BELOW):
        done = iter(range(1, total + 1))
        return [shards.write(shard, lambda: report(next(done), total)) for shard in plan]
    # Spawned, not forked: the caller may have threads (TensorFlow), and a fork copies their locks.
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(counter, stop)) as pool:
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
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return [future.result() for future in futures]


def _size(plan: list[Shard]) -> int:
    paths = {image.path for shard in plan for image in shard.images}
    return sum(path.stat().st_size for path in paths if path.exists())


_counter: Any = None
_stop: Any = None
"""A worker's share of what all have: multiprocessing's Value and Event, whose types only its contexts know."""


def _begin(counter: Any, stop: Any) -> None:
    """Gives a worker process what all share: the count of finished images, and the word to stop."""
    global _counter, _stop
    _counter, _stop = counter, stop
    # Ctrl-C and a terminal's end reach the whole group; the parent says what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


class _Stopped(Exception):
    """The parent has given up."""


def _write_counted(shard: Shard) -> Written:
    def done() -> None:
        if _stop.is_set():
            raise _Stopped
        with _counter.get_lock():
            _counter.value += 1

    return shards.write(shard, done)
