"""Which images are trained on, which evaluated on."""

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from app.errors import DatasetError
from app.settings import flag

TRAIN, EVAL = "train", "eval"
SPLIT_NAME = re.compile(
    r"(train|training|trainval|val|valid|validation|eval|evaluation|dev|test|testing)\d*", re.IGNORECASE
)
"""What sets call their splits, as names of folders and in names of files; with a year in COCO's."""
_TRAIN_NAMES = (r"train\d*", r"training\d*", r"trainval\d*")
_EVAL_NAMES = tuple(
    rf"{name}\d*" for name in ("val", "valid", "validation", "eval", "evaluation", "dev", "test", "testing")
)
_OF_FOLDERS = {"images", "image", "img", "imgs", "data", "dataset", "set", "labels", "annotations", "split", ""}
"""What folders of a split are called besides: `train_images`, `test-set`."""

Part = TypeVar("Part")


@dataclass(frozen=True)
class SplitSelection:
    """The set's splits to train and to evaluate on.

    An empty `eval`: a part of `train` is held out; both empty: a part of the whole set. `named`: the user
    named at least one.
    """

    train: str
    eval: str
    named: bool


def named_in(text: str) -> str:
    """The split that a file name speaks of: `val` of `instances-val` or `train_labels`, or an empty
    string."""
    return next((part for part in re.split(r"[_. -]", text) if SPLIT_NAME.fullmatch(part)), "")


def split_of_folder(folders: Sequence[str]) -> str:
    """The split that a path's folders speak of: `train` of `train/images` or `train_images/a`, or an empty string."""
    for folder in folders:
        words = [word for word in re.split(r"[_. -]", folder) if word.casefold() not in _OF_FOLDERS]
        if len(words) == 1 and SPLIT_NAME.fullmatch(words[0]):
            return words[0]
    return ""


def own_splits(found: Mapping[str, list[Part]]) -> dict[str, list[Part]]:
    """The parts of a set by split, out of what lies in places named like splits, and under `""` elsewhere.

    Beside splits to train and to evaluate on the rest is left out: it is most likely what they were made from. With
    only splits to evaluate on, the rest is trained on; with only one to train on there are none.
    """
    named = {name: parts for name, parts in found.items() if name}
    if not named or "" not in found:
        return dict(found)
    if is_split(list(named)):
        return named
    if _first(list(named), _TRAIN_NAMES):
        return {"": [part for parts in found.values() for part in parts]}
    return {"train": found[""], **named}


def is_split(own: Sequence[str]) -> bool:
    """Whether among a set's own splits there is one to train on and one to evaluate on."""
    return bool(_first(own, _TRAIN_NAMES) and _first(own, _EVAL_NAMES))


def select_splits(own: Sequence[str], train_split: str, eval_split: str, where: str) -> SplitSelection:
    """The names of the splits to train and to evaluate on, out of the set's `own`.

    Named ones win; else `train` (or `trainval`, or the only one, whatever its name), and the first there is of `val`,
    `valid`, `validation`, `eval`, `test` (each also with a year, as COCO's `val2017`). Raises DatasetError for a
    name that the set does not have.
    """
    there = f"it has {', '.join(own)}" if own else "it has no splits of its own"
    for setting, name in (("train_split", train_split), ("eval_split", eval_split)):
        if name and name not in own:
            raise DatasetError(f"split {name!r} is not in the data set; {there}", where=where, remedy=flag(setting))
    train = train_split or _first(own, _TRAIN_NAMES)
    if not train and len(own) == 1 and not eval_split and not _first(own, _EVAL_NAMES):
        train = own[0]  # CVAT calls the only list `default`.
    if not train and (own or eval_split):
        raise DatasetError(f"no split is named train; {there}", where=where, remedy=flag("train_split"))
    held_out = eval_split or _first([name for name in own if name != train], _EVAL_NAMES)
    if train and train == held_out:
        raise DatasetError(
            f"{train!r} is named for training and for evaluation; {there}", where=where, remedy=flag("eval_split")
        )
    return SplitSelection(train, held_out, bool(train_split or eval_split))


def _first(own: Sequence[str], patterns: Sequence[str]) -> str:
    for pattern in patterns:
        fitting = sorted(name for name in own if re.fullmatch(pattern, name, re.IGNORECASE))
        if fitting:
            return fitting[-1]  # Of several years the newest.
    return ""


def hold_out(labels: Mapping[str, Set[str]], fraction: float, seed: int) -> set[str]:
    """The names of the images to evaluate on: about `fraction` of them, and of each class.

    `labels` gives the classes in each image. The rarest class is dealt out first; a class in two images
    or more ends up in both parts wherever its images allow that. The same names, fraction and seed give the
    same part.
    """
    order = sorted(labels)
    random.Random(seed).shuffle(order)
    members: dict[str, list[str]] = defaultdict(list)
    for name in order:
        for label in sorted(labels[name]) or [""]:
            members[label].append(name)
    held: set[str] = set()
    dealt: set[str] = set()
    for label in sorted(members, key=lambda label: (len(members[label]), label)):
        images = members[label]
        lowest = 1 if label else 0
        wanted = min(max(round(fraction * len(images)), lowest), len(images) - 1)
        free = [name for name in images if name not in dealt]
        held.update(free[: max(0, wanted - sum(name in held for name in images))])
        dealt.update(images)
    _repair(members, labels, held)
    if not held and len(order) > 1:
        held.add(order[0])
    return held


def _repair(members: Mapping[str, Sequence[str]], labels: Mapping[str, Set[str]], held: set[str]) -> None:
    """Moves an image to a part that lacks a class, if the other part then lacks none of its classes."""

    def count(label: str, in_held: bool) -> int:
        return sum((name in held) == in_held for name in members[label])

    for label in sorted(members, key=lambda label: (len(members[label]), label)):
        if not label or len(members[label]) < 2:
            continue
        for lacking in (True, False):
            if count(label, lacking):
                continue
            movable = (n for n in members[label] if all(count(other, not lacking) > 1 for other in labels[n]))
            name = next(movable, None)
            if name is not None:
                (held.add if lacking else held.remove)(name)
