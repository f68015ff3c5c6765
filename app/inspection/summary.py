"""What `inspect` found, as figures and as text."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import SettingsError
from app.humanize import list_names
from app.inspection.dataset_view import DatasetView
from app.inspection.duplicates import DuplicatePair
from app.inspection.statistics import DatasetStatistics
from app.protos.pipeline_config import PipelineConfig

UNMATCHED_MANY = 0.1
"""Share of boxes without a matching anchor from which something should be changed."""
IMBALANCED = 5.0
"""Ratio of the most to the least frequent class from which it is worth a word."""
REMEDIES_MAX = 3
CLASSES_SHOWN = 30
EXAMPLES_SHOWN = 2
_DROPPED_BOXES = ("box ", "class unknown")
"""How the kinds of faults begin whose `dropped` stands for one box each."""


@dataclass(frozen=True)
class SplitCount:
    """A split: what it is for, and what is in it."""

    name: str
    role: str
    images: int
    without_boxes: int
    boxes: int


@dataclass(frozen=True)
class ClassCount:
    """A class: its images and boxes in the whole set, its boxes by split."""

    name: str
    images: int
    boxes: int
    boxes_per_split: dict[str, int]


@dataclass(frozen=True)
class BoxCount:
    """Boxes as the model sees them, in its pixels after its resizer.

    `small`, `medium`, `large` by COCO's areas (32 and 96 pixels squared); `side` is the square root of the area at
    5, 50 and 95 %. `sizes` and `shapes` are histograms: (from, to, boxes, of these matched by an anchor), sides in
    pixels and width over height; what lies beyond is in the outermost bins.
    """

    small: int
    medium: int
    large: int
    side: tuple[float, ...]
    sizes: list[tuple[float, float, int, int]]
    shapes: list[tuple[float, float, int, int]]
    images_by_boxes: dict[int, int]


@dataclass(frozen=True)
class AnchorFit:
    """The anchors of the model, the share of boxes (0 to 1) that match one (`anchors.matched`), and what would help."""

    scales: list[float]
    aspect_ratios: list[float]
    matched: float
    remedies: list[Any]


@dataclass(frozen=True)
class Inspected:
    """What `inspect` found. Names of faults are complete; `page`, `sheet` and `figures` are the files written."""

    dataset: str
    format: str
    reason: str
    images: int
    boxes: int
    boxes_annotated: int
    splits: list[SplitCount]
    classes: list[ClassCount]
    imbalance: dict[str, Any] | None
    findings: list[str]
    model: str
    boxes_seen: BoxCount | None
    anchors: AnchorFit | None
    duplicates: list[DuplicatePair]
    faults: list[Any]
    images_without_boxes: list[str]
    page: str
    sheet: str
    figures: str

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def summarize_dataset(
    view: DatasetView,
    counts: DatasetStatistics,
    duplicates: list[DuplicatePair],
    model: str,
    config: PipelineConfig,
    files: Mapping[str, str],
) -> Inspected:
    """The figures of a data set's view and statistics, against the model's pipeline `config`."""
    from app.inspection import statistics

    seen, fit = _boxes(counts, config)
    balance = statistics.imbalance(view.classes, counts.boxes_of)
    faults = [*view.earlier, *view.issues.rows()]
    boxes = counts.boxes_of.total()
    dropped = sum(row.count for row in faults if row.action == "dropped" and row.kind.startswith(_DROPPED_BOXES))
    by_split: dict[str, Mapping[str, int]] = {split: counts.boxes.get(split, {}) for split in view.roles}
    result = Inspected(
        dataset=view.source, format=view.format, reason=view.reason,
        images=counts.total, boxes=boxes, boxes_annotated=boxes + dropped,
        splits=[
            SplitCount(split, role, counts.images[split], counts.empty[split], sum(by_split[split].values()))
            for split, role in view.roles.items()
        ],
        classes=[
            ClassCount(name, counts.images_of[name], counts.boxes_of[name],
                       {split: some.get(name, 0) for split, some in by_split.items()})
            for name in view.classes
        ],
        imbalance=dataclasses.asdict(balance) | {"summary": balance.summary} if balance else None,
        findings=[], model=model, boxes_seen=seen, anchors=fit, duplicates=duplicates, faults=faults,
        images_without_boxes=counts.without_boxes, **files,
    )  # fmt: skip
    return dataclasses.replace(result, findings=[*view.notes, *_findings(result)])


def _boxes(counts: Any, config: PipelineConfig) -> tuple[BoxCount | None, AnchorFit | None]:
    import numpy as np

    from app.inspection import anchor_fit, statistics
    from app.pipeline import anchors

    images, fractions = counts.shapes()
    seen = anchors.boxes_after_resize(config, images, fractions)
    sizes = statistics.sizes(seen)
    if sizes is None:
        return None, None
    try:
        made = anchors.from_config(config)
    except (ArithmeticError, ValueError) as error:
        raise SettingsError(f"anchor generator makes no anchors: {error}", remedy="--config_override") from None
    matched = anchors.matched(seen, made) if made else np.zeros(len(seen), bool)

    def bins(values: Any, edges: tuple[float, ...]) -> list[tuple[float, float, int, int]]:
        both = zip(statistics.histogram(values, edges), statistics.histogram(values[matched], edges), strict=True)
        return [(round(low, 3), round(high, 3), *pair) for low, high, pair in zip(edges, edges[1:], both, strict=False)]

    counted = BoxCount(
        small=sizes.small, medium=sizes.medium, large=sizes.large, side=sizes.quantiles,
        sizes=bins(np.sqrt(seen.prod(1)), statistics.SIZE_EDGES),
        shapes=bins(seen[:, 1] / seen[:, 0], statistics.RATIO_EDGES),
        images_by_boxes=dict(sorted(counts.crowding.items())),
    )  # fmt: skip
    if made is None:
        return counted, None
    share = float(matched.mean())
    remedies = anchor_fit.remedies(config, images, fractions) if share < 1 - UNMATCHED_MANY else []
    return counted, AnchorFit(made.scales, made.aspect_ratios, round(share, 4), remedies[:REMEDIES_MAX])


def _findings(result: Inspected) -> Iterator[str]:
    """What the reader should not miss, one line each."""
    leaks = [pair for pair in result.duplicates if pair.leak]
    if leaks:
        first = leaks[0]
        same = "are the same" if all(pair.identical for pair in leaks) else "look the same"
        yield (
            f"{len(leaks)} pairs of images {same} and are in different splits, which flatters the metrics, "
            f"e.g. {first.a} and {first.b}"
        )
    for row in result.faults:
        shown = row.examples[:EXAMPLES_SHOWN]
        joint = ", e.g. " if row.count > len(shown) else ": "
        yield f"{row.count} x {row.kind}, {row.action}{joint if shown else ''}{'; '.join(shown)}"
    if result.imbalance and (result.imbalance["ratio"] >= IMBALANCED or result.imbalance["missing"]):
        yield result.imbalance["summary"]
    yield from _one_sided(result)
    if result.anchors and result.anchors.matched < 1 - UNMATCHED_MANY:
        yield f"{1 - result.anchors.matched:.0%} of the boxes match no anchor of {result.model}{_remedy(result)}"


def _remedy(result: Inspected) -> str:
    if result.anchors is None or not result.anchors.remedies:
        return "; no change of anchors or of the image size that was tried helps"
    best = result.anchors.remedies[0]
    return f" -> {best.flag} leaves {1 - best.share:.0%}"


def _one_sided(result: Inspected) -> Iterator[str]:
    """Classes that training or evaluation does not see."""
    by_role = {split.role.split(":")[0]: split.name for split in result.splits if split.role}
    trained, evaluated = by_role.get("trained on"), by_role.get("evaluated on")
    if not trained or not evaluated:
        return
    for one, other, purpose in ((trained, evaluated, "evaluated"), (evaluated, trained, "trained")):
        names = [row.name for row in result.classes if row.boxes_per_split[one] and not row.boxes_per_split[other]]
        if names:
            yield f"never {purpose} on, for want of boxes in {other}: {list_names(names)}"


def _lines(result: Inspected) -> Iterator[str]:
    """The terminal's summary."""
    annotated = f" ({result.boxes_annotated} annotated)" if result.boxes_annotated != result.boxes else ""
    yield f"{result.dataset}: {result.format}, {result.images} images, {result.boxes} boxes{annotated}"
    for split in result.splits:
        role = f", {split.role}" if split.role else ""
        yield f"  {split.name}: {split.images} images, {split.boxes} boxes, {split.without_boxes} without{role}"
    width = max((len(row.name) for row in result.classes), default=0)
    for row in result.classes[:CLASSES_SHOWN]:
        yield f"  {row.name:<{width}}  {row.boxes:>7} boxes in {row.images} images"
    if len(result.classes) > CLASSES_SHOWN:
        yield f"  ... and {len(result.classes) - CLASSES_SHOWN} classes more"
    seen, fit = result.boxes_seen, result.anchors
    if seen:
        low, middle, high = (f"{side:.0f}" for side in seen.side)
        yield (
            f"  for {result.model}: sides of {low}, {middle}, {high} pixels (5, 50, 95 %); "
            f"{seen.small} small, {seen.medium} medium, {seen.large} large"
            + (f"; {fit.matched:.1%} match an anchor" if fit else "; it has no anchors")
        )
    yield from (f"! {line}" for line in result.findings)
    yield f"page {result.page}"
