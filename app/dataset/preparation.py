"""A data set on disk becomes a folder of checked, sharded records with a card."""

import dataclasses
import itertools
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from app import progress as bars
from app.dataset import card as cards
from app.dataset import collection, data_links, fingerprint, integrity, leaks, records, shard_pool, splits
from app.dataset.annotation import AnnotatedImage
from app.dataset.card import Card, SplitCard
from app.dataset.collection import Collection
from app.dataset.faults import IssueCounter
from app.dataset.formats import registry
from app.dataset.image_index import root_of
from app.dataset.shards import Shard, Written
from app.dataset.splits import EVAL, TRAIN
from app.errors import DatasetError
from app.humanize import NOTHING_TO_MEASURE, format_count, list_names
from app.progress import Progress
from app.raster_image import MAX_PIXELS
from app.run.directory import DATASET_CARD
from app.run.files import flush, refuse_foreign, replacing, write_json
from app.settings import flag

log = logging.getLogger(__name__)

IMAGES_PER_SHARD = 100
SHARDS_MIN, SHARDS_MAX = 4, 64
EVAL_REMEDY = f"{flag('eval_split')}, or another {flag('eval_fraction')} or {flag('seed')}"
EXAMPLES_LOGGED = 3
"""Of a kind of fault; the card has more."""


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
    max_pixels: int = MAX_PIXELS,
    follow_links: bool = False,
    masked: bool = False,
    leak: str = "",
    keep_unreadable: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Card:
    """Writes the records of the data set `source` and its card into the folder `target`, whole or not at all.

    `format` is `auto`, a name in `registry.READERS` or one of Datumaro's. Splits: see `splits.select_splits`;
    without own ones `eval_fraction` is held out by `seed`. `num_shards` 0: by the number of images. `max_side`: pixels
    that a stored image's longer side has at most, 0: no limit. `max_pixels`: of an image in its file at most.
    `follow_links`: see `data_links`. `masked`: instance masks are stored too, where the set has them. `leak`: see
    `leaks.drops_leaks`. `keep_unreadable`:
    images of which no annotation is usable stay, as without objects. `workers` None: a process for each CPU.
    `progress(done, of)` counts images. Does nothing where `target` already holds what would be written.
    Raises DatasetError.
    """
    try:
        source = source.resolve()
        with data_links.reading(root_of(source), follow=follow_links):
            return _prepare(
                source, target.resolve(), format, train_split, eval_split, eval_fraction,
                num_shards, seed, max_side, max_pixels, masked, leak, keep_unreadable, workers, progress,
            )  # fmt: skip
    except OSError as error:
        raise DatasetError(
            f"{error.strerror or error}", where=str(error.filename or target), remedy="check space and permissions"
        ) from error


def _prepare(
    source: Path, target: Path, format: str, train_split: str, eval_split: str, eval_fraction: float,
    num_shards: int, seed: int, max_side: int, max_pixels: int, masked: bool, leak: str, keep_unreadable: bool,
    workers: int | None, progress: Progress | None,
) -> Card:  # fmt: skip
    started = time.monotonic()
    reader, reason = registry.resolve_reader(source, format)
    choice = splits.select_splits(reader.splits(source), train_split, eval_split, str(source))
    arguments = {
        "format": reader.NAME,
        "train_split": choice.train,
        "eval_split": choice.eval,
        "eval_fraction": eval_fraction,
        "num_shards": num_shards,
        "seed": seed,
        "max_side": max_side,
        "masked": masked,
        "leak": leak,
        "keep_unreadable": keep_unreadable,
    }
    if max_pixels != MAX_PIXELS:
        arguments["max_pixels"] = max_pixels
    print_, state = fingerprint.take(source, arguments, without=target)
    present = cards.read(target)
    if present is not None and present.state == state:
        misfit = integrity.find_misfit(target, present.splits.values())
        if misfit is None:
            counts = present.train.images, present.eval.images
            log.info("prepare: %s is up to date: %d images for training, %d for evaluation", target, *counts)
            return present
        log.warning("prepare: %s: %s: all are made again", misfit.where, misfit.what)
    # The folder of records is replaced as a whole.
    refuse_foreign(
        target,
        lambda path: path.name == DATASET_CARD or path.suffix == ".tfrecord",
        remedy="choose an empty or a new folder",
        error=DatasetError,
    )
    log.info("prepare: format %s, because of %s", reader.NAME, reason)

    issues = IssueCounter()
    found = collection.collect(
        source, reader, choice, eval_fraction, seed, issues, masked,
        leak=leak, keep_unreadable=keep_unreadable,
    )  # fmt: skip
    with replacing(target) as folder:
        folder.mkdir()
        how = folder, num_shards, seed, max_side, max_pixels, keep_unreadable, workers, progress
        plan, written = _write(found, *how)
        same = _same(written)
        apart = (
            leaks.without_copies(found.images, same, choice, leak, str(source), issues)
            if choice.eval
            else leaks.held_out_together(found.images, same, eval_fraction, seed, issues)
        )
        if apart is not found.images:
            found = dataclasses.replace(found, images=apart)
            for shard in plan:
                shard.path.unlink()
            plan, written = _write(found, *how)
        for result in written:
            issues.merge(result.faults)
        made = Card(
            source=str(source),
            format=reader.NAME,
            reason=reason,
            classes=found.classes,
            splits={part: _split_card(part, found, written, plan, issues, str(source)) for part in (TRAIN, EVAL)},
            faults=issues.rows(),
            arguments=arguments,
            fingerprint=print_,
            state=state,
            masks=found.masked,
            keypoints=found.keypoints,
        )
        write_json(folder / DATASET_CARD, made.to_json())
        flush(folder.iterdir())
    _log_card(made, time.monotonic() - started)
    return made


def _write(
    found: Collection, folder: Path, num_shards: int, seed: int, max_side: int, max_pixels: int, keep_unreadable: bool,
    workers: int | None, progress: Progress | None,
) -> tuple[list[Shard], list[Written]]:  # fmt: skip
    plan = list(_plan(found, folder, num_shards, seed, max_side, max_pixels, keep_unreadable))
    with bars.shown("records", progress) as report:
        return plan, shard_pool.write(plan, workers, report)


def _plan(
    found: Collection, folder: Path, num_shards: int, seed: int, max_side: int, max_pixels: int, keep_unreadable: bool
) -> Iterator[Shard]:
    """Training images come in random order: a reader's shuffle buffer sees only a part at a time."""
    ids = {name: number for number, name in enumerate(found.classes, start=1)}
    for part in (TRAIN, EVAL):
        images = list(found.images[part])
        if part == TRAIN:
            images.sort(key=lambda image: image.name)
            random.Random(seed).shuffle(images)
        count = min(num_shards or _shard_count(len(images), part), len(images))
        for index, some in enumerate(_dealt(images, count)):
            yield Shard(
                folder / records.shard_name(part, index, count), part, tuple(some), ids, max_side,
                masked=found.masked, keypoints=found.keypoints, keep_unreadable=keep_unreadable, max_pixels=max_pixels,
            )  # fmt: skip


def _shard_count(images: int, part: str) -> int:
    by_size = math.ceil(images / IMAGES_PER_SHARD)
    return min(max(by_size, SHARDS_MIN if part == TRAIN else 1), SHARDS_MAX)


def _dealt(images: Sequence[AnnotatedImage], count: int) -> Iterator[Sequence[AnnotatedImage]]:
    """`count` runs of images in order whose lengths differ by one at most."""
    edges = [index * len(images) // count for index in range(count + 1)]
    yield from (images[a:b] for a, b in itertools.pairwise(edges))


def _same(written: list[Written]) -> list[list[str]]:
    """The names of images that are stored under several, byte for byte."""
    names: dict[bytes, dict[str, None]] = {}
    for result in written:
        for digest, name in result.digests:
            names.setdefault(digest, {})[name] = None
    return [list(some) for some in names.values() if len(some) > 1]


def _split_card(
    part: str, found: Collection, written: list[Written], plan: list[Shard], issues: IssueCounter, where: str
) -> SplitCard:
    mine = [result for result in written if result.split == part]
    per_class = sum((result.boxes for result in mine), Counter())
    images = sum(result.images for result in mine)
    if not images:
        raise collection.nothing_left(part, found.names[part], where, issues)
    if part == TRAIN and not per_class:
        remedy = collection.most_frequent(issues) or f"{flag('train_split')} names another"
        raise DatasetError("no training image has a usable box", where=where, remedy=remedy)
    count = sum(shard.split == part for shard in plan)
    return SplitCard(
        source=found.names[part], images=images,
        images_without_boxes=sum(result.images_without_boxes for result in mine),
        boxes=per_class.total(), boxes_per_class={name: per_class[name] for name in found.classes},
        most_boxes=max(result.most_boxes for result in mine),
        shards=count, records=records.pattern(part, count),
        crowds=sum(result.crowds for result in mine), difficult=sum(result.difficult for result in mine),
        files=tuple(result.file for result in mine if result.file),
    )  # fmt: skip


def _log_card(card: Card, seconds: float) -> None:
    for name, split in card.splits.items():
        log.info(
            "prepare: %s: %d images, %d boxes, %d shards (%s)",
            name,
            split.images,
            split.boxes,
            split.shards,
            split.source,
        )
    for row in card.faults:
        shown = "; ".join(row.examples[:EXAMPLES_LOGGED])
        such = ":" if row.count <= EXAMPLES_LOGGED else ", e.g."
        log.info("prepare: %d x %s, %s%s %s", row.count, row.kind, row.action, such, shown)
    if not card.eval.boxes:
        log.warning("prepare: no evaluation image has a usable box, so nothing can be measured -> %s", EVAL_REMEDY)
    elif card.eval.crowds == card.eval.boxes:
        what = "prepare: nothing but crowds to evaluate on (%s), so there is %s -> %s"
        log.warning(what, format_count(card.eval.boxes, "box", "boxes"), NOTHING_TO_MEASURE, EVAL_REMEDY)
    elif (card.eval.crowds or 0) + (card.eval.difficult or 0) == card.eval.boxes:
        what = "prepare: nothing but difficult boxes and crowds to evaluate on (%s): to PASCAL's metrics %s -> %s"
        log.warning(what, format_count(card.eval.boxes, "box", "boxes"), NOTHING_TO_MEASURE, EVAL_REMEDY)
    in_train, in_eval = card.train.boxes_per_class, card.eval.boxes_per_class
    if unmeasured := [name for name in card.classes if in_train[name] and not in_eval[name] and card.eval.boxes]:
        log.warning("prepare: not in the evaluation split: %s", list_names(unmeasured))
    if unlearnt := [name for name in card.classes if in_eval[name] and not in_train[name]]:
        log.warning("prepare: in the evaluation split only: %s", list_names(unlearnt))
    log.info("prepare: %d classes in %.1f s", len(card.classes), seconds)
