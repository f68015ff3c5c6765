"""Iterates the images of a data set or of records with their valid boxes."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app import progress as bars
from app.dataset import boxes, collection, faults, image_file, shards, splits
from app.dataset.annotation import AnnotatedImage, Box
from app.dataset.card import Card
from app.dataset.faults import FIXED, KEPT, Fault, FaultCount, IssueCounter, unlabelled
from app.dataset.formats import registry
from app.dataset.records import REMEDY, Example, read_examples
from app.dataset.splits import EVAL, TRAIN
from app.errors import DatasetError
from app.machine.cores import usable_cores
from app.raster_image import MAX_PIXELS
from app.run.directory import DATASET_CARD
from app.settings import flag

FAULTS_MAX = 1_000_000
"""Faults of one kind that are kept by name: about 100 MB."""
_AT_A_TIME = 128
"""Images in work at once, so that memory does not grow with the set."""
NO_SPLIT = "in no split"
TRAINED, EVALUATED = "trained on", "evaluated on"


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """A usable image: size in pixels and boxes in fractions, both as viewers show it, and the names of its splits.

    `annotated` counts the boxes that its annotation had, `digest` and `miniature` are those of `image_file.ImageProbe`.
    """

    name: str
    splits: tuple[str, ...]
    height: int
    width: int
    boxes: tuple[Box, ...]
    digest: bytes
    miniature: np.ndarray


@dataclass
class DatasetView:
    """A data set or records to inspect. `roles` has each split in order with what it is for, or an empty string.

    `summaries` gives every usable image once, calling back for each that it is done with, and adds to `issues`
    what is wrong; `pixels` gives chosen images (uint8, height x width x 3) by name.
    """

    source: str
    format: str
    reason: str
    classes: tuple[str, ...]
    roles: dict[str, str]
    total: int
    issues: IssueCounter
    summaries: Callable[[Callable[[], None]], Iterator[ImageSummary]]
    pixels: Callable[[Iterable[str]], Iterator[tuple[str, np.ndarray]]]
    notes: list[str] = field(default_factory=list)
    earlier: tuple[FaultCount, ...] = ()
    """Faults that were met when the records were made, with examples."""


class _Once(IssueCounter):
    """The issues of a set that is read several times, split by split: a fault counts as often as in one reading.

    `whole`: the whole is read after its splits, so that an image of two of them turns up twice.
    """

    def __init__(self) -> None:
        super().__init__(examples_max=FAULTS_MAX)
        self.whole = False
        self._known: Counter[Fault] = Counter()
        self._met: Counter[Fault] = Counter()

    def read_again(self) -> None:
        """Another reading begins, in which faults that are known turn up once more."""
        self._met.clear()

    def add(self, fault: Fault) -> None:
        if self.whole and fault.kind == faults.IMAGE_TWICE:
            return
        self._met[fault] += 1
        if self._met[fault] > self._known[fault]:
            self._known[fault] += 1
            super().add(fault)


def view_of_dataset(
    source: Path,
    *,
    format: str,
    train_split: str,
    eval_split: str,
    eval_fraction: float,
    seed: int,
    max_pixels: int = MAX_PIXELS,
) -> DatasetView:
    """The whole of a data set: its own splits and what is in none, else the two parts that `prepare` would make.

    `max_pixels`: of an image in its file. Raises DatasetError where there is no data set, or no image in it.
    """
    reader, reason = registry.resolve_reader(source, format)
    own, issues, notes = reader.splits(source), _Once(), []
    declared: dict[str, bool] = {}
    images: dict[str, AnnotatedImage] = {}
    members: dict[str, list[str]] = {}
    try:
        choice = splits.select_splits(own, train_split, eval_split, str(source))
    except DatasetError as error:
        if train_split or eval_split:
            raise
        choice = splits.SplitSelection("", "", False)
        notes.append(f"{error.what} -> {error.remedy}")
    with bars.shown("annotations", None) as report:
        for number, split in enumerate(own):
            report(number, len(own) + 1)
            issues.read_again()
            for name, image in collection.read(source, reader, split, declared, issues).items():
                images.setdefault(name, image)
                members.setdefault(name, []).append(split)
        report(len(own), len(own) + 1)
        issues.whole = bool(own)
        issues.read_again()
        for name, image in collection.read(source, reader, "", declared, issues).items():
            if name not in images:
                images[name] = image
                members[name] = [NO_SPLIT] if own else []
        issues.whole = False
        issues.read_again()
    if not images:
        row = next(iter(issues.rows()), None)
        remedy = f"{row.count} x {row.kind}, e.g. {row.examples[0]}" if row else flag("dataset")
        raise DatasetError("no image in this data set", where=str(source), remedy=remedy)
    roles = {split: "" for split in own}
    if any(NO_SPLIT in names for names in members.values()):
        roles[NO_SPLIT] = ""
    _assign(choice, images, members, roles, eval_fraction, seed)
    for split, overlap in _overlaps(members).items():
        for name in overlap:
            issues.add(Fault(faults.IMAGE_IN_BOTH, name, split, KEPT))
    roles = dict(sorted(roles.items(), key=lambda item: (not item[1], not item[1].startswith(TRAINED))))
    classes = collection.in_order(declared, {box.label for image in images.values() for box in image.boxes})
    issues.extend(collection.names_that_differ_in_case(classes))
    return DatasetView(
        source=str(source), format=reader.NAME, reason=reason, classes=classes,
        roles=roles, total=len(images), issues=issues, notes=notes,
        summaries=lambda done: _summaries_of_set(images, members, issues, max_pixels, done),
        pixels=lambda names: (
            (name, image_file.read_pixels(shards.source(images[name]), name, max_pixels)) for name in names
        ),
    )  # fmt: skip


def view_of_records(folder: Path, card: Card) -> DatasetView:
    """The records that `prepare` made in `folder`."""
    issues = IssueCounter(FAULTS_MAX)
    return DatasetView(
        source=str(folder), format="records", reason=f"{DATASET_CARD} of {card.source}", classes=card.classes,
        roles={TRAIN: TRAINED, EVAL: EVALUATED}, total=card.train.images + card.eval.images, issues=issues,
        summaries=lambda done: _summaries_of_records(folder, card, issues, done),
        pixels=lambda names: _pixels_of_records(folder, card, set(names)), earlier=card.faults,
    )  # fmt: skip


def superset_splits(members: Mapping[str, Sequence[str]]) -> set[str]:
    """Splits that wholly hold another one, such as `trainval`; `members` has the splits of each image."""
    by_split: dict[str, set[str]] = {}
    for name, inside in members.items():
        for split in inside:
            by_split.setdefault(split, set()).add(name)
    return {a for a, b in itertools.permutations(by_split, 2) if by_split[a] > by_split[b]}


def _overlaps(members: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The images that several splits have, by the names of those, supersets left out."""
    wide = superset_splits(members)
    found: dict[str, list[str]] = {}
    for name, inside in members.items():
        narrow = [split for split in inside if split not in wide]
        if len(narrow) > 1:
            found.setdefault(", ".join(narrow), []).append(name)
    return found


def _assign(
    choice: splits.SplitSelection,
    images: Mapping[str, AnnotatedImage],
    members: dict[str, list[str]],
    roles: dict[str, str],
    fraction: float,
    seed: int,
) -> None:
    """Names what each split is for; where none is to evaluate on, the parts that would be held out become splits."""
    if choice.eval or (roles and not choice.train):
        roles.update({name: role for name, role in ((choice.train, TRAINED), (choice.eval, EVALUATED)) if name})
        return
    inside = {name: image for name, image in images.items() if not choice.train or choice.train in members[name]}
    held = splits.hold_out({n: {box.label for box in p.boxes} for n, p in inside.items()}, fraction, seed)
    whole = choice.train or "the whole set"
    roles.pop(choice.train, None)
    parts = {TRAIN: f"{TRAINED}: {1 - fraction:.3g} of {whole}", EVAL: f"{EVALUATED}: {fraction:.3g} of {whole}"}
    roles.update({name: role for name, role in parts.items() if name == TRAIN or held})
    for name in inside:
        rest = [split for split in members[name] if split != choice.train]
        members[name] = [*rest, EVAL if name in held else TRAIN]


def _threads() -> ThreadPoolExecutor:
    # Threads: Pillow's decoders, and reading files, let go of the interpreter.
    return ThreadPoolExecutor(min(usable_cores(), 16))


def _batched(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, _AT_A_TIME)):
        yield batch


def _probe(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> image_file.ImageProbe | Fault:
    try:
        return image_file.probe_image(source, name, max_pixels)
    except image_file.UnusableImage as unusable:
        return unusable.fault


def _summaries_of_set(
    images: Mapping[str, AnnotatedImage],
    members: Mapping[str, list[str]],
    issues: IssueCounter,
    max_pixels: int,
    done: Callable[[], None],
) -> Iterator[ImageSummary]:
    with _threads() as pool:
        for batch in _batched(images.values()):
            probes = pool.map(lambda image: _probe(shards.source(image), image.name, max_pixels), batch)
            for image, probe in zip(batch, probes, strict=True):
                done()
                if isinstance(probe, Fault):
                    issues.add(probe)
                    continue
                if probe.orientation != 1:
                    detail = f"orientation {probe.orientation}"
                    issues.add(Fault(faults.IMAGE_ROTATED, image.name, detail, FIXED))
                kept, found = boxes.place_boxes(image, probe.raw, probe.orientation)
                issues.extend(found)
                if image.boxes and not kept:
                    issues.add(unlabelled(image.name))
                    continue
                width, height = probe.raw[::-1] if probe.orientation >= 5 else probe.raw
                yield ImageSummary(
                    image.name, tuple(members[image.name]), height, width, tuple(kept),
                    probe.digest, probe.miniature,
                )  # fmt: skip


def _examples(folder: Path, card: Card, names: Collection[str] | None = None) -> Iterator[tuple[str, Example]]:
    for split, found in card.splits.items():
        for example in read_examples(folder, found.records, names):
            if unknown := set(example.labels) - set(card.classes):
                what = f"the record of {example.name} has class {min(unknown)!r}, which {DATASET_CARD} does not know"
                raise DatasetError(what, where=str(folder), remedy=REMEDY)
            yield split, example


def _summaries_of_records(
    folder: Path, card: Card, issues: IssueCounter, done: Callable[[], None]
) -> Iterator[ImageSummary]:
    with _threads() as pool:
        for batch in _batched(_examples(folder, card)):
            names = [example.name for _, example in batch]
            probes = pool.map(_probe, [example.encoded for _, example in batch], names)
            for (split, example), probe in zip(batch, probes, strict=True):
                done()
                if isinstance(probe, Fault):
                    issues.add(probe)
                    continue
                width, height = probe.raw
                boxes = tuple(_boxes(example))
                yield ImageSummary(example.name, (split,), height, width, boxes, probe.digest, probe.miniature)


def _boxes(example: Example) -> Iterator[Box]:
    for label, (ymin, xmin, ymax, xmax) in zip(example.labels, example.boxes.tolist(), strict=True):
        yield Box(label, xmin, ymin, xmax, ymax)


def _pixels_of_records(folder: Path, card: Card, wanted: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
    for _, example in _examples(folder, card, wanted):
        yield example.name, image_file.read_pixels(example.encoded, example.name)
