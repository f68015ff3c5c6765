"""The page of one run's report."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from app.html import charts, page
from app.html.page import Section
from app.humanize import NOTHING_TO_MEASURE, format_bytes, format_count, short_metric, spell_time
from app.pipeline import batch_size_record
from app.report import classes, images
from app.report.cost import EVENTS
from app.report.curves import Points, smooth_curve, usual_range
from app.report.run_report import Report
from app.run.goodput import Goodput
from app.run.lenient_json import count, listed, mapping

MAP, AP50, AR = "DetectionBoxes_Precision/mAP", "DetectionBoxes_Precision/mAP@.50IOU", "DetectionBoxes_Recall/AR@100"
SPLITS = {"train": "training", "eval": "evaluation"}
FEW = 12
"""Up to so many classes are drawn as bars; more are a folded table."""


def render_run(report: Report) -> str:
    """The page, as text."""
    sections = (
        _curves(report),
        *classes.render_classes(report),
        images.render_images(report.images),
        _scores(report),
        _dataset(report.dataset),
        _settings(report),
        _batch_size(report.provenance),
        _copies(report),
        _cost(report),
        _versions(report.provenance),
    )
    return page.render_page(
        report.run,
        [section for section in sections if section],
        subtitle=f"detbox report of {format_moment(report.written)} · {report.folder}",
        head=[page.facts(key_figures(report)), page.notices(_notices(report))],
    )


def key_figures(report: Report) -> list[tuple[str, str]]:
    """The key figures of a run, the most important first: (what, figure)."""
    best, cost = report.best, report.cost
    found = [("Step", f"{report.step:,} of {report.of:,}" if report.of else f"{report.step:,}")]
    if best:
        found.append((f"Best {short_metric(best.metric)}", f"{best.value:.3f} at step {best.step:,}"))
    for what, metric in (("mAP", MAP), ("AP50", AP50), ("AR@100", AR)):
        value = report.at_best(metric)
        if value is not None and best and metric != best.metric:
            found.append((what, f"{value:.3f}"))
    if cost.training_seconds is not None:
        found.append(("Training time", spell_time(cost.training_seconds)))
    if cost.steps_per_sec is not None:
        found.append(("Speed", f"{cost.steps_per_sec:.3g} steps/s"))
    return [*found, ("On disk", format_bytes(cost.total_bytes))]


def format_moment(seconds: float) -> str:
    """Date and time in the time zone of this machine."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _notices(report: Report) -> list[str]:
    found = []
    if report.state != "completed":
        found.append(f"Training: {report.state}.")
    found += [f"Rollback {rollback}." for rollback in report.rollbacks]
    if not report.scores:
        found.append("No checkpoint was evaluated yet.")
    elif not report.details:
        found.append("The evaluations have no figures by class: detbox evaluate --once writes them.")
    if report.metric in report.scores and not report.scores[report.metric]:
        found.append(f"{report.metric}: {NOTHING_TO_MEASURE}, so no checkpoint is the best.")
    if report.best and not report.best.is_kept:
        found.append(f"best/ holds another checkpoint than the best by {report.best.metric}.")
    if report.details and report.best and report.details.step != report.best.step:
        found.append(f"Figures by class are of step {report.details.step:,}, the best is step {report.best.step:,}.")
    return found


def mark_best(report: Report) -> list[tuple[float, str]]:
    """The best checkpoint as a vertical line in a chart."""
    return [(report.best.step, f"best: step {report.best.step:,}")] if report.best else []


def metric_curves(report: Report) -> dict[str, Points]:
    """mAP and AP50 over the steps, and the metric that chose the best if it is another one."""
    chosen = dict.fromkeys((MAP, AP50, report.metric))
    found: dict[str, Points] = {}
    for metric in chosen:
        if report.scores.get(metric):
            # The mAP of masks is called as that of boxes is.
            found[metric if short_metric(metric) in found else short_metric(metric)] = report.scores[metric]
    return found


def _curves(report: Report) -> Section | None:
    curves = metric_curves(report)
    # A loss that chose the best has another scale than mAP.
    apart = {} if "loss" in report.metric.lower() else curves
    parts = [charts.lines("mAP", apart, x="step", marks=mark_best(report))] if apart else []
    losses = _losses(report)
    if losses:
        parts.append(losses)
    pieces = {short_metric(name): points for name, points in report.losses.items() if name != "total"}
    if len(pieces) > 1:
        parts.append(_smoothed("Parts of the training loss", pieces))
    if report.learning_rate:
        parts.append(charts.lines("Learning rate", {"learning rate": report.learning_rate}, x="step"))
    if report.speed:
        parts.append(_smoothed("Speed", {"speed": report.speed}, y="steps/s"))
    return Section("Curves", [page.columns(parts)]) if parts else None


def _losses(report: Report) -> Markup | None:
    """The training loss and, in the same chart, the evaluation's, which shows overfitting."""
    curves = {"training": report.losses.get("total", ()), "evaluation": report.scores.get("Loss/total_loss", ())}
    drawn = {name: points for name, points in curves.items() if points}
    return _smoothed("Loss", drawn, marks=mark_best(report)) if drawn else None


def _smoothed(title: str, curves: Mapping[str, Points], *, y: str = "", marks: Sequence[Any] = ()) -> Markup:
    """Long curves as moving averages with the raw values behind."""
    averages = {name: smooth_curve(points) for name, points in curves.items()}
    raw = {name: points for name, points in curves.items() if averages[name] != points}
    limits, notes = usual_range(*curves.values()), []
    if raw:
        notes.append("Moving averages, the raw values paler.")
    if limits:
        highest = max(value for points in curves.values() for _, value in points)
        notes.append(f"What is higher than the chart is drawn at its edge; the highest is {highest:.4g}.")
    return charts.lines(title, averages, x="step", y=y, y_range=limits, marks=marks, behind=raw, note=" ".join(notes))


def _scores(report: Report) -> Section | None:
    """Every metric at the best and at the newest evaluation."""
    if not report.scores:
        return None
    newest = max((points[-1][0] for points in report.scores.values() if points), default=report.step)
    steps = {"best": report.best.step, "newest": newest} if report.best else {"newest": newest}
    rows = [
        [name, *(page.fixed(dict(points).get(step), 4) or NOTHING_TO_MEASURE for step in steps.values())]
        for name, points in sorted(report.scores.items())
    ]
    note = f"newest: step {newest:,.0f}" + (f"; best: step {report.best.step:,}" if report.best else "")
    table = page.table(["Metric", *steps], rows)
    return Section("All metrics", [page.details(format_count(len(rows), "metric"), [table])], note=note)


def _dataset(card: Mapping[str, Any] | None) -> Section | None:
    """The card of the records; a card of another detbox shows what it has in common with this one's."""
    if not card:
        return None
    splits = {str(name): mapping(split) for name, split in mapping(card.get("splits")).items()}
    facts = [("Format", card.get("format", "?"))]
    for name, split in splits.items():
        counts = [f"{count(split.get(what)) or 0:,} {what}" for what in ("images", "boxes")]
        facts.append((f"{SPLITS.get(name, name)} set".capitalize(), ", ".join(counts)))
    classes = [str(name) for name in listed(card.get("classes"))]
    facts.append(("Classes", f"{len(classes):,}"))
    parts = [page.facts(facts), _boxes_by_class(classes, splits)]
    faults = [mapping(fault) for fault in listed(card.get("faults"))]
    rows = [[str(fault.get("kind", "")), count(fault.get("count")), str(fault.get("action", ""))] for fault in faults]
    if rows:
        kinds = format_count(len(rows), "kind")
        parts.append(page.details(f"{kinds} of fault", [page.table(["Fault", "times", "was"], rows)]))
    return Section("Data set", parts, note=str(card.get("source", "")))


def _boxes_by_class(classes: Sequence[str], splits: Mapping[str, Mapping[str, Any]]) -> Markup:
    boxes = {SPLITS.get(name, name): mapping(split.get("boxes_per_class")) for name, split in splits.items()}
    counts = {name: [count(counted.get(label)) or 0 for label in classes] for name, counted in boxes.items()}
    heads = ["Class", *(f"{name} boxes" for name in counts)]
    table = page.table(heads, zip(classes, *counts.values(), strict=True))
    if not counts or len(classes) > FEW:
        return page.details("Boxes by class", [table])
    return page.columns([charts.bars("Boxes by class", classes, counts), table])


def _settings(report: Report) -> Section | None:
    parts: list[str] = []
    if report.settings:
        rows = [
            [name, format_setting(value), format_setting(default)] for name, (value, default) in report.settings.items()
        ]
        parts.append(page.table(["Setting", "value", "default"], rows))
    elif report.all_settings:
        parts.append(page.paragraph("Every setting has its default."))
    if report.diff:
        parts.append(page.details("What is changed in the pipeline.config", [page.diff(report.diff)]))
    if report.config:
        lines = format_count(len(report.config.splitlines()), "line")
        parts.append(page.details(f"The whole pipeline.config, {lines}", [page.code(report.config)]))
    return Section("Settings that differ from the default", parts) if parts else None


def format_setting(value: Any) -> str:
    """A setting's value as text; what is empty or not given says so."""
    return "empty" if value is None or value == "" else str(value)


def _batch_size(provenance: Mapping[str, Any]) -> Section | None:
    """What was tried for `batch_size=auto`, and what it led to."""
    found = batch_size_record.from_provenance(provenance)
    if not found:
        return None
    rows = [
        [one.images, memory, speed, how] for one, (_, memory, speed, how) in zip(found.tries, found.rows(), strict=True)
    ]
    table = page.table(batch_size_record.HEADS, rows)
    return Section(
        "Batch size", [page.paragraph(f"{found}."), page.details(format_count(len(rows), "try", "tries"), [table])]
    )


def _copies(report: Report) -> Section | None:
    rows = [
        [item.name, item.step, None if item.bytes is None else page.Figure(format_bytes(item.bytes)), item.words]
        for item in (*report.exports, *report.serving)
    ]
    if not rows:
        return None
    return Section(
        "Exports and serving", [page.table(["Name", "of step", "size", "compared with the checkpoint"], rows)]
    )


def _cost(report: Report) -> Section:
    cost = report.cost
    evaluated = None
    if cost.evaluation_seconds is not None:
        evaluated = f"{spell_time(cost.evaluation_seconds)} for {format_count(cost.evaluations, 'checkpoint')}"
    pauses = f", {format_count(cost.pauses, 'pause')} left out" if cost.pauses else ""
    rows = [
        ("Training", spell_time(cost.training_seconds) + pauses if cost.training_seconds is not None else None),
        ("Evaluation", evaluated),
        ("Median speed", f"{cost.steps_per_sec:.4g} steps/s" if cost.steps_per_sec is not None else None),
        ("", f"{cost.examples_per_sec:.4g} images/s" if cost.examples_per_sec is not None else None),
        ("Memory of the trainer, highest", format_bytes(cost.memory_mb * 1e6) if cost.memory_mb is not None else None),
    ]
    times = page.table(["Time and memory", ""], [row for row in rows if row[1]])
    budget = f", of at most {format_bytes(cost.event_budget)}" if cost.event_budget else ""
    kinds = [
        [kind + (budget if kind == EVENTS else ""), page.Figure(format_bytes(size))]
        for kind, size in cost.bytes.items()
    ]
    disk = page.table(["On disk", ""], kinds, total=["together", page.Figure(format_bytes(cost.total_bytes))])
    advice = report.goodput.describe_advice()
    notes = [page.paragraph(f"After {advice}.")] if advice else []
    return Section("Time and cost", [page.columns([times, disk, *_goodput(report.goodput)]), *notes])


def _goodput(goodput: Goodput) -> list[Markup]:
    """What the wall time of the trainer went into."""
    if not goodput.total:
        return []
    rows = [
        [kind, page.Figure(spell_time(seconds)), page.Figure(f"{seconds / goodput.total:.1%}")]
        for kind, seconds in goodput.seconds().items()
        if seconds
    ]
    return [page.table(["Time of the trainer", "", "share"], rows)]


def _versions(provenance: Mapping[str, Any]) -> Section | None:
    if not provenance:
        return None
    versions, host, patches = (mapping(provenance.get(name)) for name in ("versions", "host", "patches"))
    rows = [(name, version) for name, version in versions.items() if version]
    rows += [
        ("patches of the OD API", len(listed(patches.get("patches"))) or None),
        ("revision of detbox", provenance.get("revision")),
        ("fingerprint of the data set", provenance.get("dataset_fingerprint")),
        ("machine", ", ".join(str(host[name]) for name in ("name", "platform") if host.get(name))),
        ("CPUs", host.get("cpus")),
        ("started", provenance.get("time")),
    ]
    return Section("Versions", [page.table(["What", ""], [(what, str(value)) for what, value in rows if value])])
