"""Images that are trained on and evaluated on: the metrics would flatter."""

from collections.abc import Mapping, Sequence

from app.dataset import faults, splits
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import FIXED, KEPT, Fault, IssueCounter
from app.dataset.splits import EVAL, TRAIN, SplitSelection
from app.errors import DatasetError
from app.humanize import format_count
from app.settings import flag

REFUSED_FROM = 10
"""Images in a set from which leaks are refused unless told otherwise."""
SHOWN = 3


def separate(
    parts: dict[str, dict[str, AnnotatedImage]], choice: SplitSelection, where: str, leak: str, issues: IssueCounter
) -> None:
    """Refuses images of one name in both `parts`, or takes them out of training, see `drops_leaks`."""
    both = [name for name in parts[TRAIN] if name in parts[EVAL]]
    if both and len(both) == len(parts[TRAIN]):
        raise DatasetError(
            f"every image of {choice.train!r} is in {choice.eval!r} too: nothing new would be evaluated",
            where=where,
            remedy=f"take {choice.eval!r} out of the set, and a part is held out; "
            f"or other splits: {flag('train_split')}, {flag('eval_split')}",
        )
    if both and not drops_leaks(leak, sum(map(len, parts.values()))):
        raise leaking(both, choice.train, choice.eval, where)
    for name in both:
        issues.add(Fault(faults.IMAGE_IN_BOTH, name, "taken out of training"))
        del parts[TRAIN][name]


def drops_leaks(leak: str, images: int) -> bool:
    """Whether images in both splits are taken out of training; else they are refused.

    `leak`: `refuse` or `drop`; empty: dropped in a set of fewer than REFUSED_FROM `images`, which measures
    nothing anyway.
    """
    return leak == "drop" or (not leak and images < REFUSED_FROM)


def without_copies(
    images: Mapping[str, list[AnnotatedImage]],
    same: Sequence[Sequence[str]],
    choice: SplitSelection,
    leak: str,
    where: str,
    issues: IssueCounter,
) -> Mapping[str, list[AnnotatedImage]]:
    """The set's own splits without what is trained and evaluated on under two names; themselves where nothing is to do.

    `same`: the names of images that are byte for byte one. See `drops_leaks`; if all images are one, they stay, as an
    only image does. Raises DatasetError.
    """
    evaluated = {image.name for image in images[EVAL]}
    copies = {
        name: next(other for other in names if other in evaluated)
        for names in same
        if not evaluated.isdisjoint(names)
        for name in names
        if name not in evaluated
    }
    total = sum(map(len, images.values()))
    if not copies or _is_one(same, total, issues):
        return images
    left = [image for image in images[TRAIN] if image.name not in copies]
    if not drops_leaks(leak, total) or not left:
        raise leaking([f"{name} = {other}" for name, other in copies.items()], choice.train, choice.eval, where)
    issues.extend(Fault(faults.IMAGE_COPIED, name, f"{other}; not trained on") for name, other in copies.items())
    return {**images, TRAIN: left}


def held_out_together(
    images: Mapping[str, list[AnnotatedImage]],
    same: Sequence[Sequence[str]],
    fraction: float,
    seed: int,
    issues: IssueCounter,
) -> Mapping[str, list[AnnotatedImage]]:
    """The two parts with images that are byte for byte one (`same`: their names) on one side; themselves if they are.

    `fraction`, `seed`: see `splits.hold_out`.
    """
    evaluated = {image.name for image in images[EVAL]}
    apart = [names for names in same if 0 < len(evaluated.intersection(names)) < len(names)]
    whole = [*images[TRAIN], *images[EVAL]]
    if not apart or _is_one(same, len(whole), issues):
        return images
    first = {name: names[0] for names in same for name in names}
    labels: dict[str, set[str]] = {}
    for image in whole:
        labels.setdefault(first.get(image.name, image.name), set()).update(box.label for box in image.boxes)
    chosen = splits.hold_out(labels, fraction, seed)
    issues.extend(Fault(faults.IMAGE_COPIED, names[0], f"{names[1]}; in one split now", FIXED) for names in apart)
    held = {image.name for image in whole if first.get(image.name, image.name) in chosen}
    return {
        TRAIN: [image for image in whole if image.name not in held],
        EVAL: [image for image in whole if image.name in held],
    }


def _is_one(same: Sequence[Sequence[str]], total: int, issues: IssueCounter) -> bool:
    """Whether all images of the set are one, under many names; then that is counted."""
    if len(same) == 1 and len(same[0]) == total:
        issues.add(Fault(faults.ONLY_IMAGE, same[0][0], "its metrics say nothing", KEPT))
        return True
    return False


def leaking(names: Sequence[str], train: str, evaluation: str, where: str) -> DatasetError:
    """The error for images that are trained and evaluated on: the metrics would flatter."""
    shown = ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")
    return DatasetError(
        f"{format_count(len(names), 'image')} both in {train!r} and in {evaluation!r}: {shown}",
        where=where,
        remedy=f"{flag('leak', 'drop')} takes them out of training; or splits that share none: {flag('train_split')}, "
        f"{flag('eval_split')}",
    )
