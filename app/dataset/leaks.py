"""Images that are trained on and evaluated on: the metrics would flatter."""

from collections.abc import Mapping, Sequence

from app.dataset import faults
from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import FIXED, KEPT, Fault, IssueCounter
from app.dataset.splits import EVAL, TRAIN, SplitSelection
from app.errors import DatasetError
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
    copies: Sequence[tuple[Sequence[str], Sequence[str]]],
    choice: SplitSelection,
    leak: str,
    where: str,
    issues: IssueCounter,
) -> Mapping[str, list[AnnotatedImage]]:
    """The splits without images that are trained and evaluated on under two names; themselves where nothing is to do.

    `copies`: for each such image its names in training and in evaluation. Between the set's own splits they are
    refused or taken out of training, see `drops_leaks`; of a part that detbox has held out they are trained on. If all
    images are one, they stay, as an only image does. Raises DatasetError.
    """
    train, held = ({name for pair in copies for name in pair[side]} for side in (0, 1))
    total = sum(map(len, images.values()))
    if not copies or (len(train) + len(held) == total and len(copies) == 1):
        issues.extend(Fault(faults.ONLY_IMAGE, names[0], "its metrics say nothing", KEPT) for names, _ in copies)
        return images
    if choice.eval:
        left = [image for image in images[TRAIN] if image.name not in train]
        if not drops_leaks(leak, total) or not left:
            raise leaking([f"{a[0]} = {b[0]}" for a, b in copies], choice.train, choice.eval, where)
        issues.extend(
            Fault(faults.IMAGE_COPIED, a, f"{pair[1][0]}; not trained on") for pair in copies for a in pair[0]
        )
        return {**images, TRAIN: left}
    left = [image for image in images[EVAL] if image.name not in held]
    action = FIXED if left else KEPT
    detail = "both trained on" if left else "its metrics flatter"
    issues.extend(Fault(faults.IMAGE_COPIED, b, f"{pair[0][0]}; {detail}", action) for pair in copies for b in pair[1])
    if not left:
        return images
    moved = [image for image in images[EVAL] if image.name in held]
    return {TRAIN: images[TRAIN] + moved, EVAL: left}


def leaking(names: Sequence[str], train: str, evaluation: str, where: str) -> DatasetError:
    """The error for images that are trained and evaluated on: the metrics would flatter."""
    more = " ..." if len(names) > SHOWN else ""
    return DatasetError(
        f"{len(names)} images are both in {train!r} and in {evaluation!r}: {', '.join(names[:SHOWN])}{more}",
        where=where,
        remedy=f"{flag('leak', 'drop')} takes them out of training; or splits that share none: {flag('train_split')}, "
        f"{flag('eval_split')}",
    )
