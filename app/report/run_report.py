"""The figures of a run's report, collected from the files of its directory."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.evaluation.promotion import ModelVersions
from app.humanize import short_metric
from app.report import cost, evaluation_details
from app.report.cost import Cost
from app.report.curves import Points, drop_superseded
from app.report.evaluation_details import Details
from app.run.directory import Run, serving_dir
from app.run.evaluations import read_best, read_evaluations
from app.run.files import read_json, read_object
from app.run.goodput import Goodput, read_goodput
from app.run.heartbeat import Heartbeat
from app.run.lenient_json import count, listed, mapping, number, with_current_keys
from app.run.metrics import read_metrics
from app.run.rollbacks import Rollback, read_rollbacks
from app.run.run_end import read_done
from app.settings import FIELDS

OMITTED_SETTINGS = {"models_dir", "run", "once", "input"} | {
    name for name, known in FIELDS.items() if known.metadata["group"] == "services"
}
"""Settings of where a run is or of what a command prints, not of training."""


@dataclass(frozen=True)
class Best:
    """The best checkpoint: its `value` of `metric`, by which it was chosen."""

    step: int
    metric: str
    value: float
    is_kept: bool
    """Whether `best/` holds it, rather than another that a metric before this one chose."""


@dataclass(frozen=True)
class DrawnImage:
    """A held-out image with boxes drawn, and its errors; None where they were not counted."""

    path: Path
    name: str
    kind: str
    false_negatives: int | None = None
    false_positives: int | None = None


@dataclass(frozen=True)
class ModelCopy:
    """An export of the run, or a version in serving; `words`: how it compares with the checkpoint."""

    name: str
    step: int | None
    bytes: int | None
    words: str


@dataclass(frozen=True)
class Report:
    """All that a page shows of one run. What the run does not have (yet) is empty or None.

    Curves are `(step, value)`, ascending, finite; `losses` and `scores` by upstream's names.
    """

    run: str
    folder: str
    written: float
    state: str
    step: int
    of: int
    metric: str
    best: Best | None
    losses: Mapping[str, Points]
    learning_rate: Points
    speed: Points
    scores: Mapping[str, Points]
    details: Details | None
    images: Sequence[DrawnImage]
    dataset: Mapping[str, Any] | None
    settings: Mapping[str, tuple[Any, Any]]
    all_settings: Mapping[str, Any]
    config: str
    diff: str
    provenance: Mapping[str, Any]
    cost: Cost
    goodput: Goodput
    rollbacks: Sequence[Rollback]
    exports: Sequence[ModelCopy]
    serving: Sequence[ModelCopy] = field(default_factory=tuple)

    def at_best(self, metric: str) -> float | None:
        """The value of `metric` at the best checkpoint."""
        return dict(self.scores.get(metric, ())).get(self.best.step) if self.best else None


def read_report(
    run: Run, *, metric: str = "", lower: bool | None = None, dataset: Mapping[str, Any] | None = None
) -> Report:
    """The figures of `run`.

    `metric` selects the best checkpoint; empty: that of `best/`, else mAP. `lower`: whether less of it is
    better; None: for a loss. `dataset`: the card of the records, as JSON.
    """
    rows = read_metrics(run)
    kept = drop_superseded(rows)
    evaluations = _evaluations(run)
    card = read_best(run)
    metric = metric or str(card.get("metric", FIELDS["best_metric"].default))
    scores = _scores(evaluations)
    if lower is None:
        # As the evaluator was told.
        known = card.get("direction") if card.get("metric") == metric else None
        lower = known == "lower" if known else "loss" in metric.lower()
    best = _best(scores, card, metric, lower)
    provenance = read_object(run.provenance)
    all_settings = {
        name: value
        for name, value in with_current_keys(mapping(provenance.get("settings"))).items()
        if name not in OMITTED_SETTINGS
    }
    done, trainer = read_done(run) or {}, Heartbeat.read(run, "trainer")
    newest = [row["step"] for row in kept[-1:]] + [trainer.step, done.get("step", 0)]
    return Report(
        run=run.name,
        folder=str(run.root),
        written=time.time(),
        state=_state(done, trainer),
        step=max(newest),
        of=done.get("of") or trainer.of or done.get("step", 0),
        metric=metric,
        best=best,
        losses=_losses(kept),
        learning_rate=_column(kept, "learning_rate"),
        speed=_column(kept, "steps_per_sec"),
        scores=scores,
        details=evaluation_details.find_details(
            run, [row["step"] for row in evaluations], card, best.step if best else None
        ),
        images=_images(run),
        dataset=dataset,
        settings={
            name: (value, FIELDS[name].default)
            for name, value in all_settings.items()
            if name in FIELDS and not _is_default(name, value)
        },
        all_settings=all_settings,
        config=_text(run.pipeline_config),
        diff=_text(run.pipeline_diff),
        provenance=provenance,
        cost=cost.measure_cost(run, rows, evaluations),
        goodput=read_goodput(run),
        rollbacks=read_rollbacks(run),
        exports=_exports(run),
        serving=_serving(run),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _state(done: Mapping[str, Any], trainer: Heartbeat) -> str:
    if done:
        return str(done.get("reason", "done"))
    return f"{trainer.state}: {trainer.reason}" if trainer.reason else trainer.state


def _is_default(name: str, value: Any) -> bool:
    default = FIELDS[name].default
    return value == default or str(value) == str(default)


def _evaluations(run: Run) -> list[dict[str, Any]]:
    """A row a step, ascending; the newest where a step was evaluated twice."""
    found = {row["step"]: row for row in read_evaluations(run)}
    return [found[step] for step in sorted(found)]


def _scores(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """Every metric over the steps; without a point where there is nothing to measure."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in evaluations:
        for name, value in row.get("metrics", {}).items():
            found.setdefault(name, []).extend([] if value is None else [(float(row["step"]), value)])
    return {name: tuple(points) for name, points in found.items()}


def _best(scores: Mapping[str, Points], card: Mapping[str, Any], metric: str, lower: bool) -> Best | None:
    """What `best/` says if it was chosen by `metric`, else the best of the evaluations, the earliest among equals."""
    step = card.get("step")
    if step is not None and card.get("metric") == metric and "value" in card:
        return Best(step, metric, card["value"], is_kept=True)
    points = scores.get(metric, ())
    if not points:
        return None
    found = min(points, key=lambda point: point[1] if lower else -point[1])
    return Best(int(found[0]), metric, found[1], is_kept=step == found[0])


def _losses(rows: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """The total first, then its parts by name."""
    parts = sorted({name for row in rows for name in row.get("losses", {})})
    found = {"total": _column(rows, "loss")}
    for name in parts:
        if not name.endswith("total_loss"):
            found[name] = _column([{**row.get("losses", {}), "step": row["step"]} for row in rows], name)
    return {name: points for name, points in found.items() if points}


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Points:
    return tuple((float(row["step"]), row[name]) for row in rows if name in row)


def _images(run: Run) -> list[DrawnImage]:
    """The drawn held-out images as their index tells of them, else by name."""
    index = read_json(run.detections_index)
    if index is None:
        return [DrawnImage(path, path.stem, "first") for path in sorted(run.detections.glob("*.jpg"))]
    # A name that is not in the folder itself is none that detbox wrote.
    there, found = {path.name: path for path in run.detections.iterdir()}, []
    for entry in map(mapping, listed(with_current_keys(index))):
        path = there.get(str(entry.get("file")))
        if path:
            false_negatives, false_positives = count(entry.get("false_negatives")), count(entry.get("false_positives"))
            name, kind = str(entry.get("image") or path.stem), str(entry.get("kind") or "first")
            found.append(DrawnImage(path, name, kind, false_negatives, false_positives))
    return found


def _exports(run: Run) -> list[ModelCopy]:
    cards = {path.parent.name: read_object(path) for path in run.export_cards()}
    return [
        ModelCopy(name, count(card.get("step")), count(card.get("bytes")), _found(card)) for name, card in cards.items()
    ]


def _found(card: Mapping[str, Any]) -> str:
    """How far an export is from its checkpoint: in its card's own words, else by the figures of an older one."""
    if summary := card.get("summary") or card.get("words"):  # as earlier versions called it
        return str(summary)
    figures = mapping(card.get("parity")) or mapping(card.get("difference"))
    known = ((name, number(value)) for name, value in figures.items())
    return ", ".join(f"{name} {value:.3g}" for name, value in known if value is not None)


def _serving(run: Run) -> list[ModelCopy]:
    """The versions in serving that were made of this run, the newest of a model first."""
    found = []
    for model in map(ModelVersions, sorted(serving_dir(run.root.parent, "").glob("*"))):
        for version in reversed(model.versions):
            card = model.card(version)
            if card.get("run") == run.name:
                metric, value = str(card.get("metric", "")), number(card.get("value"))
                words = [] if value is None else [f"{short_metric(metric)} {value:.4f}"]
                words.append("serves" if version == model.current else f"version {model.current} serves")
                name = f"{model.folder.name}, version {version}"
                found.append(ModelCopy(name, count(card.get("step")), None, ", ".join(words)))
    return found
