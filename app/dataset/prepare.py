"""A data set on disk becomes a folder of checked, sharded records with a card."""

import logging
import math
import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from app import runs
from app.dataset import collection, faults, fingerprint, formats, progress as bars, records, shards, splits
from app.dataset import card as cards
from app.dataset.annotation import Picture
from app.dataset.card import Card, SplitCard
from app.dataset.collection import Collection
from app.dataset.faults import Fault, Tally
from app.dataset.progress import Progress
from app.dataset.shards import Shard, Written
from app.dataset.splits import EVAL, TRAIN
from app.errors import DatasetError

log = logging.getLogger(__name__)

PICTURES_PER_SHARD = 100
SHARDS_MIN, SHARDS_MAX = 4, 64
ALONE_BELOW = 48
"""Pictures for which no worker processes are started: they would take longer to start than to help."""


def prepare(
    source: Path,
    target: Path,
    *,
    format: str = "auto",
    train_split: str = "",
    eval_split: str = "",
    eval_fraction: float = 0.2,
    num_shards: int = 0,
    seed: int = 0,
    max_side: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Card:
    """Writes the records of the data set `source` and its card into the folder `target`, whole or not at all.

    `format` is `auto` or a name in `formats.READERS`. Splits: see `splits.choose`; without own ones `eval_fraction` is held
    out by `seed`. `num_shards` 0: by the number of pictures. `max_side`: pixels that a stored picture's longer side has at
    most, 0: no limit. `workers` None: a process for each CPU. `progress(done, of)` counts pictures. Does nothing where
    `target` already holds what would be written. Raises DatasetError.
    """
    started = time.monotonic()
    source, target = source.resolve(), target.resolve()
    reader, reason = formats.choose(source, format)
    train, held_out = splits.choose(reader.splits(source), train_split, eval_split, str(source))
    arguments = {
        "format": reader.NAME, "train_split": train, "eval_split": held_out, "eval_fraction": eval_fraction,
        "num_shards": num_shards, "seed": seed, "max_side": max_side,
    }  # fmt: skip
    print_, state = fingerprint.take(source, arguments, without=target)
    present = cards.read(target)
    if present is not None and present.state == state and _complete(present, target):
        log.info("prepare: %s is up to date (%d pictures for training, %d for evaluation)",
                 target, present.train.pictures, present.eval.pictures)  # fmt: skip
        return present
    log.info("prepare: format %s, because of %s", reader.NAME, reason)

    tally = Tally()
    explicit = bool(train_split or eval_split)
    found = collection.collect(source, reader, train, held_out, eval_fraction, seed, explicit, tally)
    with runs.replacing(target) as folder:
        folder.mkdir()
        plan = list(_plan(found, folder, num_shards, seed, max_side))
        with bars.shown("records", progress) as report:
            written = _write(plan, workers, report)
        for result in written:
            tally.merge(result.faults)
        _copies(written, tally)
        made = Card(
            source=str(source), format=reader.NAME, reason=reason, classes=found.classes,
            splits={part: _split_card(part, found, written, plan, tally, str(source)) for part in (TRAIN, EVAL)},
            faults=tally.rows(), arguments=arguments, fingerprint=print_, state=state,
        )  # fmt: skip
        runs.write_json(folder / cards.FILE_NAME, made.to_json())
    _tell(made, time.monotonic() - started)
    return made


def _complete(card: Card, target: Path) -> bool:
    return all(len(list(target.glob(split.records))) == split.shards for split in card.splits.values())


def _plan(found: Collection, folder: Path, num_shards: int, seed: int, max_side: int) -> Iterator[Shard]:
    """Training pictures are dealt out in random order: a reader's shuffle buffer sees only a part at a time."""
    ids = {name: number for number, name in enumerate(found.classes, start=1)}
    for part in (TRAIN, EVAL):
        pictures = list(found.pictures[part])
        if part == TRAIN:
            pictures.sort(key=lambda picture: picture.name)
            random.Random(seed).shuffle(pictures)
        count = min(num_shards or _shard_count(len(pictures), part), len(pictures))
        for index, some in enumerate(_dealt(pictures, count)):
            yield Shard(folder / records.shard_name(part, index, count), part, tuple(some), ids, max_side)


def _shard_count(pictures: int, part: str) -> int:
    by_size = math.ceil(pictures / PICTURES_PER_SHARD)
    return min(max(by_size, SHARDS_MIN if part == TRAIN else 1), SHARDS_MAX)


def _dealt(pictures: Sequence[Picture], count: int) -> Iterator[Sequence[Picture]]:
    """`count` runs of pictures in order whose lengths differ by one at most."""
    edges = [index * len(pictures) // count for index in range(count + 1)]
    yield from (pictures[a:b] for a, b in zip(edges, edges[1:], strict=False))


def _write(plan: list[Shard], workers: int | None, report: Progress) -> list[Written]:
    total = sum(len(shard.pictures) for shard in plan)
    workers = min(workers or len(os.sched_getaffinity(0)), len(plan))
    if workers < 2 or total < ALONE_BELOW:
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
            raise DatasetError("a worker process was killed, most likely for want of memory", remedy="try again with more") from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return [future.result() for future in futures]


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


def _copies(written: list[Written], tally: Tally) -> None:
    """Counts pictures that are in both splits byte for byte under different names: evaluation then flatters."""
    known = {digest: name for result in written if result.split == TRAIN for digest, name in result.digests.items()}
    for result in written:
        if result.split == EVAL:
            for digest, name in result.digests.items():
                if digest in known:
                    tally.add(Fault(faults.PICTURE_COPIED, name, f"also {known[digest]}", faults.KEPT))


def _split_card(part: str, found: Collection, written: list[Written], plan: list[Shard], tally: Tally, where: str) -> SplitCard:
    mine = [result for result in written if result.split == part]
    per_class = sum((result.boxes for result in mine), Counter())
    pictures = sum(result.pictures for result in mine)
    if not pictures:
        raise collection.nothing_left(part, found.names[part], where, tally)
    if part == TRAIN and not per_class:
        raise DatasetError("no training picture has a usable box", where=where, remedy="see docs/datasets.md on faults")
    count = sum(shard.split == part for shard in plan)
    return SplitCard(
        source=found.names[part], pictures=pictures,
        pictures_without_boxes=sum(result.pictures_without_boxes for result in mine),
        boxes=per_class.total(), boxes_per_class={name: per_class[name] for name in found.classes},
        shards=count, records=records.pattern(part, count),
    )  # fmt: skip


def _tell(card: Card, seconds: float) -> None:
    for name, split in card.splits.items():
        log.info("prepare: %s: %d pictures, %d boxes, %d shards (%s)", name, split.pictures, split.boxes, split.shards, split.source)
    for row in card.faults:
        log.info("prepare: %d x %s, %s, e.g. %s", row.count, row.kind, row.action, row.examples[0])
    for label in card.classes:
        if card.train.boxes_per_class[label] and not card.eval.boxes_per_class[label]:
            log.warning("prepare: class %s is not in the evaluation split", label)
        if card.eval.boxes_per_class[label] and not card.train.boxes_per_class[label]:
            log.warning("prepare: class %s is in the evaluation split only", label)
    log.info("prepare: %d classes in %.1f s", len(card.classes), seconds)
