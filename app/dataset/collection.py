"""The images of the chosen splits, read once, each image once, with valid boxes and known classes."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from app.dataset import boxes, data_links, faults, leaks, splits
from app.dataset.annotation import AnnotatedImage, Box, Category
from app.dataset.faults import FIXED, KEPT, Fault, IssueCounter, unlabelled
from app.dataset.formats.registry import Reader
from app.dataset.image_index import images_in, name_in, root_of
from app.dataset.splits import EVAL, TRAIN, SplitSelection
from app.errors import DatasetError
from app.settings import flag


@dataclass
class Seen:
    """The files of images and the faults that readings of a set's splits have met so far."""

    files: set[Path] = field(default_factory=set)
    faults: set[Fault] = field(default_factory=set)


@dataclass(frozen=True)
class Collection:
    """The images of both splits, the classes in the order of their ids, and the splits' names.

    `masked`: some box has a mask. `keypoints`: how many the box with the most has.
    """

    images: Mapping[str, list[AnnotatedImage]]
    classes: tuple[str, ...]
    names: Mapping[str, str]
    masked: bool = False
    keypoints: int = 0


def collect(
    source: Path,
    reader: Reader,
    choice: SplitSelection,
    fraction: float,
    seed: int,
    issues: IssueCounter,
    masked: bool = False,
    *,
    leak: str = "",
    keep_unreadable: bool = False,
) -> Collection:
    """Reads the chosen splits and adds what was wrong to `issues`, images that are in neither split too.

    Without a split for evaluation a `fraction` is held out; an only image is trained and evaluated on. Images in
    both splits are refused or taken out of training, see `leaks.drops_leaks`. `keep_unreadable`: see `read`. Raises
    DatasetError where a split or the whole set turns out empty.
    """
    declared: dict[str, bool] = {}
    seen = Seen()

    def images_of(split: str) -> dict[str, AnnotatedImage]:
        return read(source, reader, split, declared, issues, masked, keep_unreadable=keep_unreadable, seen=seen)

    parts = {TRAIN: images_of(choice.train)}
    if choice.eval:
        parts[EVAL] = images_of(choice.eval)
        leaks.separate(parts, choice, str(source), leak, issues)
        names = {TRAIN: choice.train, EVAL: choice.eval}
    elif len(parts[TRAIN]) == 1:
        # Enough to see whether a model can learn it at all, which is what a set of one image is for.
        issues.add(Fault(faults.ONLY_IMAGE, next(iter(parts[TRAIN])), "its metrics say nothing", KEPT))
        parts[EVAL] = parts[TRAIN]
        names = dict.fromkeys(parts, choice.train or "the whole set")
    else:
        chosen = splits.hold_out({n: {b.label for b in p.boxes} for n, p in parts[TRAIN].items()}, fraction, seed)
        parts = {
            TRAIN: {name: image for name, image in parts[TRAIN].items() if name not in chosen},
            EVAL: {name: image for name, image in parts[TRAIN].items() if name in chosen},
        }
        whole = choice.train or "the whole set"
        names = {TRAIN: f"{1 - fraction:.3g} of {whole}", EVAL: f"{fraction:.3g} of {whole}"}
    offsets = [image.offset for images in parts.values() for image in images.values()]
    if not offsets or None in offsets:  # Records hold their images.
        issues.extend(_never_named(source, seen.files, choice))
    for part, images in parts.items():
        if not images:
            raise nothing_left(part, names[part], str(source), issues)
    kept = [box for images in parts.values() for image in images.values() for box in image.boxes]
    used = {box.label for box in kept}
    if not used:
        raise DatasetError("no image has a box", where=str(source), remedy=most_frequent(issues) or "is it annotated?")
    classes = in_order(declared, used)
    issues.extend(names_that_differ_in_case(classes))
    return Collection(
        {part: list(images.values()) for part, images in parts.items()}, classes, names,
        masked=any(box.mask for box in kept), keypoints=max((len(box.keypoints) for box in kept), default=0),
    )  # fmt: skip


def in_order(declared: Mapping[str, bool], used: Set[str]) -> tuple[str, ...]:
    """The classes in the order of their ids: as declared (name: whether it only groups others), then the rest.

    A super-category that no box uses is left out.
    """
    classes = [name for name, group in declared.items() if name in used or not group]
    return (*classes, *sorted(used - set(classes)))


def names_that_differ_in_case(classes: Iterable[str]) -> Iterator[Fault]:
    """Classes that are likely to be one: `Dog` and `dog`."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(name.casefold(), []).append(name)
    for names in groups.values():
        if len(names) > 1:
            yield Fault(faults.LABELS_ALIKE, ", ".join(names), action=KEPT)


def nothing_left(part: str, name: str, where: str, issues: IssueCounter) -> DatasetError:
    """The error for a split without usable images; it cites the most frequent fault as the likely cause."""
    remedy = most_frequent(issues) or f"{flag(f'{part}_split')} names another"
    return DatasetError(
        f"no usable image for {'training' if part == TRAIN else 'evaluation'} ({name})", where=where, remedy=remedy
    )


def most_frequent(issues: IssueCounter) -> str:
    """The likely cause: an image that nothing annotates may be what is left of one that could not be found."""
    rows = [row for row in issues.rows() if row.action == faults.DROPPED]
    rows.sort(key=lambda row: row.kind in (faults.ANNOTATION_MISSING, faults.IMAGE_LEFT_OUT, faults.IMAGE_UNLABELLED))
    return f"{rows[0].count} x {rows[0].kind}, e.g. {rows[0].examples[0]}" if rows else ""


def read(
    source: Path,
    reader: Reader,
    split: str,
    declared: dict[str, bool],
    issues: IssueCounter,
    masked: bool = False,
    *,
    keep_unreadable: bool = False,
    seen: Seen | None = None,
) -> dict[str, AnnotatedImage]:
    """The images of a split by name, each once: the boxes of one listed twice are joined.

    Adds the classes that it declares to `declared` (name: whether it only groups others), faults to `issues`. An image
    that was annotated, and has no usable box, is left out: it is not background. `keep_unreadable` keeps it. What
    `seen` knows from other splits counts once.
    """
    images: dict[str, AnnotatedImage] = {}
    doubtful: dict[str, None] = {}
    seen, met = seen or Seen(), set[Fault]()
    for item in reader.read(source, split, masked=masked):
        if isinstance(item, Fault):
            if item not in seen.faults:
                issues.add(item)
                met.add(item)
        elif isinstance(item, Category):
            declared.setdefault(item.name, item.group)
        elif data_links.is_allowed(str(item.path)):
            seen.files.add(item.path)
            sound = tuple(_sound(item, issues))
            issues.extend(item.lost)
            if item.lost or len(sound) < len(item.boxes):
                doubtful[item.name] = None
            image = dataclasses.replace(item, boxes=sound, lost=())
            earlier = images.get(item.name)
            if earlier is not None:
                issues.add(Fault(faults.IMAGE_TWICE, item.name, "boxes joined", FIXED))
                image = dataclasses.replace(earlier, boxes=tuple(dict.fromkeys(earlier.boxes + image.boxes)))
            images[item.name] = image
    seen.faults |= met
    for name in doubtful:
        if not images[name].boxes:
            issues.add(unlabelled(name, keep_unreadable))
            if not keep_unreadable:
                del images[name]
    return images


def _sound(image: AnnotatedImage, issues: IssueCounter) -> list[Box]:
    kept = []
    for box in image.boxes:
        for item in boxes.check_box(box, image.name):
            if isinstance(item, Fault):
                issues.add(item)
            else:
                kept.append(item)
    return kept


def _never_named(source: Path, seen: Set[Path], choice: SplitSelection) -> Iterator[Fault]:
    """The images below the set's folder that are not among those that the chosen splits name.

    Of a set that is one file, only beside the images that it names: its folder may be anyone's.
    """
    folder = root_of(source)
    folders = {path.parent for path in seen}
    for path in images_in(folder):
        if path in seen or not (source.is_dir() or path.parent in folders):
            continue
        inside = splits.split_of_folder(path.relative_to(folder).parts[:-1])
        if choice.train and not (inside and inside in (choice.train, choice.eval)):
            yield Fault(faults.IMAGE_LEFT_OUT, name_in(folder, path))
        else:
            yield Fault(faults.ANNOTATION_MISSING, name_in(folder, path))
