"""The page that compares several runs."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from app.html import charts, page
from app.html.page import Section
from app.humanize import format_bytes, short_metric, spell_time
from app.report.classes import WHOLE_MAX
from app.report.curves import Points, smooth_curve, usual_range
from app.report.page import AP50, AR, MAP, format_moment, format_setting
from app.report.run_report import Report
from app.run.lenient_json import count, mapping


def render_comparison(reports: Sequence[Report]) -> str:
    """The page, as text; `reports` are at least two, of different names."""
    sections = (
        Section("Figures", [_figures(reports)]),
        _curves(reports),
        _classes(reports),
        _settings(reports),
        _configs(reports),
    )
    return page.render_page(
        f"{len(reports)} runs compared",
        [section for section in sections if section],
        subtitle=f"detbox report of {format_moment(max(report.written for report in reports))}",
        head=[page.paragraph(", ".join(report.run for report in reports)), page.notices(_notices(reports))],
    )


def name_columns(reports: Sequence[Report]) -> list[str]:
    """The name of each run on the page, with a number after it where two share one."""
    found: list[str] = []
    for report in reports:
        again = sum(name.partition(" (")[0] == report.run for name in found)
        found.append(f"{report.run} ({again + 1})" if again else report.run)
    return found


def _notices(reports: Sequence[Report]) -> list[str]:
    found = []
    prints = {str(report.provenance.get("dataset_fingerprint") or "") for report in reports} - {""}
    if len(prints) > 1:
        found.append("The runs were made from different data, so their metrics do not compare.")
    if len({report.metric for report in reports}) > 1:
        found.append("The best checkpoints were chosen by different metrics: --best_metric selects one.")
    found += [f"{report.run}: {report.state}." for report in reports if report.state != "completed"]
    return found


def _figures(reports: Sequence[Report]) -> Markup:
    metric = reports[0].metric
    rows: list[tuple[str, Callable[[Report], Any]]] = [
        ("Step", lambda run: run.step),
        (f"Best {short_metric(metric)}", lambda run: page.fixed(run.best.value if run.best else None)),
        ("of step", lambda run: run.best.step if run.best else None),
        *[
            (name, lambda run, name=key: page.fixed(run.at_best(name)))
            for name, key in (("mAP", MAP), ("AP50", AP50), ("AR@100", AR))
            if key != metric
        ],
        ("Training loss at the end", lambda run: page.fixed(_last(run.losses.get("total", ())))),
        ("Training", lambda run: _format_known(run.cost.training_seconds, spell_time)),
        ("Steps/s", lambda run: page.fixed(run.cost.steps_per_sec, 2)),
        ("Images/s", lambda run: page.fixed(run.cost.examples_per_sec, 1)),
        (
            "Memory of the trainer",
            lambda run: _format_known(run.cost.memory_mb, lambda value: format_bytes(value * 1e6)),
        ),
        ("On disk", lambda run: _format_known(run.cost.total_bytes, format_bytes)),
        ("Images to train on", lambda run: _images(run, "train")),
        ("Images to evaluate on", lambda run: _images(run, "eval")),
    ]
    cells = [[what, *(figure(report) for report in reports)] for what, figure in rows]
    return page.table(["", *name_columns(reports)], [row for row in cells if any(cell is not None for cell in row[1:])])


def _last(points: Points) -> float | None:
    smoothed = smooth_curve(points)
    return smoothed[-1][1] if smoothed else None


def _format_known(value: float | None, say: Callable[[float], str]) -> Markup | None:
    return None if value is None else page.Figure(say(value))


def _images(report: Report, split: str) -> int | None:
    return count(mapping(mapping(mapping(report.dataset).get("splits")).get(split)).get("images"))


def _curves(reports: Sequence[Report]) -> Section | None:
    metric = reports[0].metric
    wanted: list[tuple[str, Callable[[Report], Points]]] = [
        *[
            (short_metric(name), lambda run, key=name: run.scores.get(key, ()))
            for name in dict.fromkeys((metric, MAP, AP50))
        ],
        ("Training loss", lambda run: smooth_curve(run.losses.get("total", ()))),
        ("Evaluation loss", lambda run: run.scores.get("Loss/total_loss", ())),
        ("Learning rate", lambda run: run.learning_rate),
        ("Speed in steps/s", lambda run: smooth_curve(run.speed)),
    ]
    parts = []
    for title, curve in wanted:
        series = {name: curve(report) for name, report in zip(name_columns(reports), reports, strict=True)}
        if any(series.values()):
            limits = usual_range(*series.values()) if "loss" in title else None
            parts.append(charts.lines(title, series, x="step", y_range=limits))
    return Section("Curves", [page.columns(parts)]) if parts else None


def _classes(reports: Sequence[Report]) -> Section | None:
    """The AP of every class in every run."""
    by_run = [{row.name: row for row in report.details.classes} if report.details else {} for report in reports]
    classes = list(dict.fromkeys(name for found in by_run for name in found))
    if not classes:
        return None
    rows = [[name, *(page.fixed(found[name].ap if name in found else None) for found in by_run)] for name in classes]
    table = page.table(["Class", *name_columns(reports)], rows)
    whole = table if len(rows) <= WHOLE_MAX else page.details(f"All {len(rows)} classes", [table])
    return Section("AP by class", [whole], note="Each at its best checkpoint.")


def _settings(reports: Sequence[Report]) -> Section | None:
    """Settings whose values differ between the runs. One that a run's detbox did not know has no value there."""
    known = list(dict.fromkeys(name for report in reports for name in report.all_settings))
    if not known:
        return None
    rows = []
    for name in known:
        values = [
            format_setting(report.all_settings[name]) if name in report.all_settings else "" for report in reports
        ]
        if len(set(values)) > 1:
            rows.append([name, *values])
    if not rows:
        return Section("Settings that differ", [page.paragraph("None: the runs have the same settings.")])
    return Section("Settings that differ", [page.table(["Setting", *name_columns(reports)], rows)])


def _configs(reports: Sequence[Report]) -> Section | None:
    """How each further run's pipeline.config differs from the first one's, but for the runs' own folders."""
    (first, base), *others = zip(name_columns(reports), reports, strict=True)
    parts = []
    for name, report in others:
        lines = difflib.unified_diff(_config(base), _config(report), first, name, n=2, lineterm="")
        if text := "\n".join(lines):
            parts.append(page.details(f"{first} -> {name}", [page.diff(text)]))
    return Section("Differences in the pipeline.config", parts) if parts else None


def _config(report: Report) -> list[str]:
    return report.config.replace(report.folder, "RUN").splitlines()
