"""The page of `inspect`."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from app.html import charts, page
from app.html.page import Section
from app.inspection.summary import Inspected

LISTED_MAX = 5000
"""Names of one kind that the page lists; inspect.json has them all."""
QUALITY = 82


def render(result: Inspected, cells: Sequence[tuple[str, Any, int]]) -> str:
    """The page; `cells` are the drawn images as (name, PIL image, number of boxes)."""
    sections = [
        Section("Classes", [_classes(result)], note=result.imbalance["summary"] if result.imbalance else ""),
        Section("Splits", [_splits(result)]),
        *_boxes(result),
        Section("Images", [_images(cells)], note="A sample in which every class is seen. A colour is a class."),
        *_duplicates(result),
        *_faults(result),
    ]
    name = Path(result.dataset).name
    return page.render_page(
        f"Data set {name}",
        [section for section in sections if section.parts],
        subtitle=f"{result.dataset}: format {result.format}, because of {result.reason}",
        head=[_facts(result), _notices(result)],
    )


def _facts(result: Inspected) -> Markup:
    leaks = sum(pair.leak for pair in result.duplicates)
    facts: list[tuple[str, object]] = [
        ("images", page.number(result.images)),
        ("boxes", page.number(result.boxes)),
        ("classes", page.number(len(result.classes))),
        ("boxes an image", f"{result.boxes / max(result.images, 1):.3g}"),
        ("without boxes", page.number(len(result.images_without_boxes))),
        ("faults", page.number(sum(row.count for row in result.faults))),
        ("same in two splits", page.number(leaks)),
    ]
    if result.anchors:
        facts.append(("match an anchor", f"{result.anchors.matched:.1%}"))
    return page.facts(facts)


def _notices(result: Inspected) -> Markup:
    if result.findings:
        return page.notices(result.findings)
    return page.notices(["Nothing was found wrong with it."], kind="good")


def _classes(result: Inspected) -> Markup:
    most = max((row.boxes for row in result.classes), default=0) or 1
    splits = [split.name for split in result.splits]
    rows = [
        [row.name, row.boxes, page.meter(row.boxes / most, f"{row.boxes / max(result.boxes, 1):.1%}"), row.images]
        + [row.boxes_per_split[split] for split in splits]
        for row in sorted(result.classes, key=lambda row: -row.boxes)
    ]
    heads = ["class", "boxes", "of all boxes", "images", *(f"boxes in {split}" for split in splits)]
    return page.table(heads, rows)


def _splits(result: Inspected) -> Markup:
    rows = [
        [split.name, split.role, split.images, split.without_boxes, split.boxes,
         float(split.boxes / max(split.images, 1))]
        for split in result.splits
    ]  # fmt: skip
    heads = ["split", "used for", "images", "without boxes", "boxes", "boxes an image"]
    whole = ["whole set", "", result.images, len(result.images_without_boxes), result.boxes,
             float(result.boxes / max(result.images, 1))]  # fmt: skip
    return page.table(heads, rows, total=whole)


def _boxes(result: Inspected) -> Iterable[Section]:
    seen, fit = result.boxes_seen, result.anchors
    if seen is None:
        return
    areas = [
        [name, count, page.meter(count / result.boxes, f"{count / result.boxes:.1%}")]
        for name, count in (
            ("small, below 32 x 32 pixels", seen.small),
            ("medium", seen.medium),
            ("large, from 96 x 96 pixels", seen.large),
        )
    ]
    drawn = [
        _histogram("Sizes", seen.sizes, fit, x="side of the box in pixels", label=_pixels),
        _histogram("Shapes", seen.shapes, fit, x="width : height", label=_ratio),
        _crowding(seen.images_by_boxes),
    ]
    parts = [
        page.table(["COCO's sizes", "boxes", "of all"], areas),
        page.columns(drawn, narrow=True),
        *_anchors(result),
    ]
    note = f"As {result.model} sees them: in pixels after its resizer. A side is the square root of the area."
    yield Section("Boxes", parts, note=note)


def _histogram(title: str, bins: Sequence[tuple[Any, ...]], fit: Any, *, x: str, label: Any) -> Markup:
    """Boxes by bin, those that match an anchor apart; empty bins at the ends are left out."""
    filled = [index for index, (_, _, count, _) in enumerate(bins) if count]
    shown = bins[filled[0] : filled[-1] + 1]
    labels = [label(low) for low, *_ in shown]
    if fit is None:
        return charts.bars(title, labels, {"boxes": [count for _, _, count, _ in shown]}, x=x, y="boxes")
    series = {
        "match an anchor": [matched for *_, matched in shown],
        "match none": [count - matched for _, _, count, matched in shown],
    }
    return charts.bars(title, labels, series, x=f"{x}, from", y="boxes")


def _pixels(low: float) -> str:
    return f"{low:.0f}"


def _ratio(low: float) -> str:
    return f"{low:.2g}:1" if low >= 1 else f"1:{1 / low:.2g}"


def _crowding(images_by_boxes: dict[int, int]) -> Markup:
    most = max(images_by_boxes)
    step = max(1, -(-(most + 1) // 16))
    labels = [str(start) if step == 1 else f"{start}–{start + step - 1}" for start in range(0, most + 1, step)]
    counts = [
        sum(images_by_boxes.get(number, 0) for number in range(start, start + step))
        for start in range(0, most + 1, step)
    ]
    return charts.bars("Boxes on an image", labels, {"images": counts}, x="boxes", y="images")


def _anchors(result: Inspected) -> Iterable[Markup]:
    fit = result.anchors
    if fit is None:
        yield page.paragraph(f"{result.model} has no anchors: it takes boxes of any size and shape.")
        return
    scales = ", ".join(f"{scale:.0f}" for scale in fit.scales)
    ratios = ", ".join(f"{ratio:g}" for ratio in fit.aspect_ratios)
    yield page.paragraph(
        f"{fit.matched:.1%} of the boxes match an anchor of the model: laid on the box's centre, the best one has an "
        f"IoU of 0.5 or more. The anchors have sides of {scales} pixels and a width of {ratios} times the height. "
        "A box that matches none is learnt from one anchor at best."
    )
    if fit.remedies:
        yield page.paragraph("What would help, as tried on these boxes:")
        rows = [[f"{one.share:.1%}", one.what, Markup(f"<code>{page.escape(one.flag)}</code>")] for one in fit.remedies]
        yield page.table(["would match", "with", "flag"], rows)
        yield page.paragraph(
            "More aspect ratios change the shape of the box head, which then starts from random weights; "
            "larger images cost memory and time."
        )


def _images(cells: Sequence[tuple[str, Any, int]]) -> Markup:
    figures = []
    for name, image, boxes in cells:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY)
        figures.append(page.image(buffer.getvalue(), f"{name}, {boxes} box{'' if boxes == 1 else 'es'}"))
    return page.columns(figures, narrow=True)


def _duplicates(result: Inspected) -> Iterable[Section]:
    if not result.duplicates:
        return
    leaks = [pair for pair in result.duplicates if pair.leak]
    rest = [pair for pair in result.duplicates if not pair.leak]
    parts = []
    if leaks:
        parts.append(_pairs(f"{len(leaks)} pairs across splits: evaluation on them says nothing", leaks, opened=True))
    if rest:
        parts.append(_pairs(f"{len(rest)} pairs within a split", rest))
    yield Section("The same image twice", parts, note="Byte for byte, or alike to the eye: resized, saved again.")


def _pairs(summary: str, duplicates: Sequence[Any], *, opened: bool = False) -> Markup:
    rows = [
        [pair.a, ", ".join(pair.a_splits), pair.b, ", ".join(pair.b_splits), "bytes" if pair.identical else "looks"]
        for pair in duplicates[:LISTED_MAX]
    ]
    heads = ["image", "in", "and", "in", "same"]
    return page.details(summary, [page.table(heads, rows), _rest(len(duplicates))], opened=opened)


def _faults(result: Inspected) -> Iterable[Section]:
    parts = [
        page.details(
            f"{row.count} x {row.kind}, {row.action}",
            [page.listing(row.examples[:LISTED_MAX]), _rest(min(row.count, max(len(row.examples), LISTED_MAX)))],
            opened=len(result.faults) == 1 and row.count <= 20,
        )
        for row in result.faults
    ]
    empty = result.images_without_boxes
    if empty:
        parts.append(
            page.details(f"{len(empty)} images without boxes", [page.listing(empty[:LISTED_MAX]), _rest(len(empty))])
        )
    yield Section("Faults" if result.faults or not empty else "Images without boxes", parts)


def _rest(count: int) -> Markup:
    return page.paragraph(f"... and {count - LISTED_MAX} more in inspect.json") if count > LISTED_MAX else Markup("")
