"""The sections of a report about classes: table, confusion matrix, precision-recall curves."""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from app.html import charts, page
from app.html.page import Section
from app.report.evaluation_details import ClassFigures, Confusion, Details
from app.report.run_report import Report

IN_ORDER = 12
"""Up to so many classes are in the order of the label map, more by AP, the lowest first."""
WHOLE_MAX = 25
"""With more classes than this, only the weakest are not folded away."""
LABELS_MAX = 25
"""The labels of the largest matrix that is shown whole."""
TOGETHER = 5
"""Up to so many precision-recall curves share a chart."""
CURVES_MAX = 24
PAIRS = 10
COUNTED = ("false_negatives", "misclassified", "false_positives", "groundtruth")
TALL = (0.0, 1.0)


def render_classes(report: Report) -> list[Section]:
    """The classes of the report's details, as far as there are any."""
    details = report.details
    if details is None:
        return []
    found = []
    if details.classes:
        found.append(_classes(details))
    if details.confusion:
        found.append(_confusion(details.confusion, details))
    if any(row.curve for row in details.classes):
        found.append(_curves(details))
    return found


def sort_weakest_first(classes: Sequence[ClassFigures]) -> list[ClassFigures]:
    """By AP, the lowest first; classes without one last."""
    return sorted(classes, key=lambda row: (row.ap is None, row.ap))


def _classes(details: Details) -> Section:
    if len(details.classes) <= WHOLE_MAX:
        return Section("Classes", [_table(details.classes)], note=_note(details))
    weakest = sort_weakest_first(details.classes)[:IN_ORDER]
    everything = page.details(f"All {len(details.classes)} classes", [_table(details.classes)])
    return Section("Classes", [_table(weakest), everything], note=f"{_note(details)} The {IN_ORDER} weakest:")


def _note(details: Details) -> str:
    order = ", the lowest AP first" if len(details.classes) > IN_ORDER else ""
    at = f" at IoU {details.iou:g}" if details.iou is not None else ""
    counted = "Precision, recall, false negatives and false positives: at the score of the highest F1"
    return f"Step {details.step:,}{order}. {counted}{at}."


def _table(classes: Sequence[ClassFigures]) -> Markup:
    heads = (
        "Class", "AP", "AP50", "AR", "best F1", "at score", "precision", "recall",
        *(name.replace("_", " ") for name in COUNTED),
    )  # fmt: skip
    rows = []
    for row in sort_weakest_first(classes) if len(classes) > IN_ORDER else classes:
        shares = (row.ap, row.ap50, row.ar, row.f1, row.f1_threshold, row.precision, row.recall)
        rows.append([row.name, *map(page.fixed, shares), *(getattr(row, name) for name in COUNTED)])
    total = None
    if len(classes) > 1:
        sums = [_sum(getattr(row, name) for row in classes) for name in COUNTED]
        total = [f"{len(classes)} classes", *[""] * 7, *sums]
    return page.table(heads, rows, total=total)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _confusion(confusion: Confusion, details: Details) -> Section:
    shown = _labels_with_most_errors(confusion)
    at = f"score {details.score:g}" if details.score is not None else "each class's score of the highest F1"
    note = f"Rows: groundtruth; columns: detected. Boxes at IoU {details.iou or 0.5:g} and {at}; step {details.step:,}."
    if len(shown) < len(confusion.labels):
        note += f" The {len(shown) - 1} of {len(confusion.labels) - 1} classes with the most errors."
    return Section("Confusion matrix", [_pairs(confusion), _matrix(confusion, shown)], note=note)


def _errors(confusion: Confusion, at: int) -> int:
    """Groundtruth of a label that was not detected as it, and detections of it that match no such box."""
    row, column = confusion.matrix[at], [line[at] for line in confusion.matrix]
    return sum(row) + sum(column) - 2 * row[at]


def _labels_with_most_errors(confusion: Confusion) -> list[int]:
    """Places of the labels to show: all, or those with the most errors; the background stays last."""
    last = len(confusion.labels) - 1
    if last < LABELS_MAX:
        return list(range(last + 1))
    worst = sorted(range(last), key=lambda at: -_errors(confusion, at))[: LABELS_MAX - 1]
    return [*sorted(worst), last]


def _matrix(confusion: Confusion, shown: Sequence[int]) -> Markup:
    last = len(confusion.labels) - 1
    rows, shades = [], []
    for at in shown:
        whole = sum(confusion.matrix[at]) or 1
        counts = [confusion.matrix[at][other] for other in shown]
        rows.append(("false positives" if at == last else confusion.labels[at], counts))
        shades.append([count / whole for count in counts])
    heads = ["false negatives" if at == last else confusion.labels[at] for at in shown]
    return page.heat_table("groundtruth \\ detected", heads, rows, shades=shades, is_right=lambda i, j: i == j)


def _pairs(confusion: Confusion) -> Markup:
    """The pairs of classes most often misclassified."""
    last = len(confusion.labels) - 1
    found = [
        (count, at, other)
        for at, row in enumerate(confusion.matrix[:last])
        for other, count in enumerate(row[:last])
        if at != other and count
    ]
    lines = []
    for count, at, other in sorted(found, key=lambda pair: -pair[0])[:PAIRS]:
        share = count / sum(confusion.matrix[at])
        lines.append(f"{confusion.labels[at]} taken for {confusion.labels[other]}: {count:,} ({share:.0%})")
    if not lines:
        return page.paragraph("No class was taken for another.")
    return page.details("Most often taken for another", [page.listing(lines)], opened=len(lines) <= TOGETHER)


def _curves(details: Details) -> Section:
    rows = [row for row in details.classes if row.curve]
    note = "The ring is the score of the highest F1."
    if details.iou is not None:
        note = f"At IoU {details.iou:g}. {note}"
    if len(rows) <= TOGETHER:
        return Section("Precision and recall", [_curve("All classes", rows)], note=note)
    if len(rows) > CURVES_MAX:
        rows = sort_weakest_first(rows)[:CURVES_MAX]
        note += f" The {CURVES_MAX} classes with the lowest AP."
    small = page.columns([_curve(row.name, [row]) for row in rows], narrow=True)
    return Section("Precision and recall", [small], note=note)


def _curve(title: str, rows: Sequence[ClassFigures]) -> Markup:
    series, spots = {}, {}
    for at, row in enumerate(rows, start=1):
        # Two classes of one name are still two lines.
        name = row.name if row.name not in series else f"{row.name} ({at})"
        series[name] = [(place / (len(row.curve) - 1 or 1), value) for place, value in enumerate(row.curve)]
        if row.recall is not None and row.precision is not None:
            spots[name] = (row.recall, row.precision)
    return charts.lines(title, series, x="recall", y="precision", y_range=TALL, spots=spots)
