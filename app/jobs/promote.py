"""`promote`: a checkpoint that passes the gate becomes the version that serves, or the one before it serves again."""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import humanize
from app.checkpoint import Checkpoint, resolve_checkpoint
from app.errors import DetboxError, GateError, SettingsError, Stopped
from app.evaluation.promotion import ModelVersions, decide_promotion
from app.evaluation.selection import Rule, lower_is_better
from app.export import session
from app.odapi.models import load_models
from app.run import lock
from app.run.directory import CARD, Run, find_run, serving_dir
from app.run.evaluations import read_best
from app.run.files import flush, read_object, replacing, write_json
from app.run_name import is_run_name
from app.settings import Settings, flag, is_given

logger = logging.getLogger(__name__)

WAIT_SECONDS = 300.0
"""How long a promotion waits for another one of the same model: an export takes 20 to 60 s."""


@dataclass(frozen=True)
class Promoted:
    """What serves now. `action`: promoted or withdrawn; `previous`: the version that served before.

    `note`: what is to be known of it. `archive`: the checkpoint's copy in the run.
    """

    action: str
    name: str
    version: int
    previous: int | None
    folder: str
    run: str
    step: int | None
    metric: str
    value: float | None
    note: str = ""
    archive: str = ""

    def __str__(self) -> str:
        value = f"{humanize.short_metric(self.metric)} {self.value:.4f}" if self.value is not None else "not evaluated"
        rows = [
            ("serves", f"version {self.version} of {self.name}: {value}, step {self.step} of run {self.run}"),
            ("in", self.folder),
        ]
        if self.action == "withdrawn":
            rows.append(("withdrawn", f"version {self.previous}, kept in {Path(self.folder).parent}/.withdrawn"))
        elif self.previous is not None:
            rows.append(("before", f"version {self.previous}; detbox promote --rollback goes back to it"))
        rows += [("archived", self.archive)] * bool(self.archive) + [("note", self.note)] * bool(self.note)
        return "\n".join(f"{name:<9} {text}" for name, text in rows)


def run(settings: Settings) -> Promoted:
    """By hand: the checkpoint of the settings passes without a threshold; with one the gate is as for the evaluator.

    Raises GateError if it does not pass, or does not give the same detections as a SavedModel.
    """
    run = find_run(settings.models_dir, settings.run_name)
    versions = model_versions(run, settings)
    if settings.rollback:
        return _roll_back(versions)
    if not run.root.is_dir():
        raise SettingsError(f"there is no run {run.name}", where=str(run.root.parent), remedy=flag("run"))
    return _promote(run, versions, resolve_checkpoint(run, settings.checkpoint), settings, by_hand=True)


def promote_best(run: Run, settings: Settings) -> Promoted | None:
    """By itself: the run's best checkpoint, if it passes the gate; None if not, with the reason in the log.

    A promotion that fails is told and does not end the evaluator. TensorFlow must have been started.
    """
    if settings.promote_threshold is None or not read_best(run):
        return None
    try:
        best = resolve_checkpoint(run, "best")
        versions = model_versions(run, settings)
        value = best.metrics.get(_rule(run, best, settings).metric)
        if versions.was_withdrawn(run.name, best.step, value):
            logger.info("promote | %s was taken back by hand: it is not promoted again by itself", best)
            return None
        if versions.serves(run.name, best.step, value):
            return None
        return _promote(run, versions, best, settings, by_hand=False)
    except Stopped:
        raise
    except GateError as error:
        logger.info("promote | not promoted: %s", error)
    except (DetboxError, OSError) as error:
        logger.warning("promote | failed: %s", error)
    return None


def model_versions(run: Run, settings: Settings) -> ModelVersions:
    """The versions of the model that the settings name, the run's name if they name none. Raises SettingsError."""
    name = settings.serving_name or run.name
    if not is_run_name(name):
        raise SettingsError(
            f"{name!r} is no name for a model in serving",
            remedy=f"letters, digits, '.', '_' and '-': {flag('serving_name')}",
        )
    return ModelVersions(serving_dir(settings.models_dir.resolve(), name))


def _promote(
    run: Run, versions: ModelVersions, checkpoint: Checkpoint, settings: Settings, *, by_hand: bool
) -> Promoted:
    rule = _rule(run, checkpoint, settings)
    _check_gate(versions, checkpoint, rule, settings, by_hand=by_hand)
    with _one_at_a_time(versions):
        # Again: another promotion may have come between.
        note = _check_gate(versions, checkpoint, rule, settings, by_hand=by_hand)
        version, previous = versions.next(), versions.current
        archive = run.promoted(versions.folder.name, version)
        what = _card_of(run, checkpoint, rule)
        card = {"name": versions.folder.name, "version": version, **what, "note": note}
        # The copy is what is exported: retention and a better best may take the checkpoint itself away meanwhile.
        with replacing(versions.path(version)) as folder, replacing(archive) as copied:
            exported = _saved_model(checkpoint.copy_to(copied), folder, settings.serving_input)
            write_json(copied / CARD, card)
            write_json(folder / CARD, exported | card)
            flush([*copied.iterdir(), *folder.rglob("*")])
            line = {key: what[key] for key in ("run", "step", "metric", "value")}
            versions.note("promoted", version, **line)
        result = Promoted(
            action="promoted",
            previous=previous,
            version=version,
            name=versions.folder.name,
            folder=str(versions.path(version)),
            archive=str(archive),
            note=note,
            **line,
        )
    logger.info("promote | version %d of %s serves: %s of run %s", version, result.name, checkpoint, run.name)
    if note:
        logger.warning("promote | %s", note)
    return result


def _check_gate(
    versions: ModelVersions, checkpoint: Checkpoint, rule: Rule, settings: Settings, *, by_hand: bool
) -> str:
    """The note on a checkpoint that passes the gate. Raises GateError for one that does not."""
    current = versions.current
    value = checkpoint.metrics.get(rule.metric)
    decision = decide_promotion(
        value, rule, settings.promote_threshold, current, versions.card(current), by_hand=by_hand
    )
    if not decision.passes:
        raise GateError(
            decision.reason,
            where=str(checkpoint),
            remedy=f"detbox promote without {flag('promote_threshold')} takes any checkpoint",
        )
    return decision.reason


def _rule(run: Run, checkpoint: Checkpoint, settings: Settings) -> Rule:
    """The metric of the settings; where none is given, the one that chose the run's best checkpoint."""
    best = read_best(run)
    if not is_given(settings, "best_metric") and best.get("metric") in checkpoint.metrics:
        return Rule(metric=best["metric"], direction=settings.best_metric_direction or best.get("direction") or "")
    return Rule(metric=settings.best_metric, direction=settings.best_metric_direction)


def _saved_model(checkpoint: Checkpoint, folder: Path, form: str) -> dict[str, Any]:
    """Exports the checkpoint and compares it; the export's own card. Raises GateError if they differ."""
    try:
        return session.export_for_serving(checkpoint, load_models, folder, form=form)
    except GateError as error:
        raise GateError(error.what, where=str(checkpoint), remedy="it is not promoted") from None


def _card_of(run: Run, checkpoint: Checkpoint, rule: Rule) -> dict[str, Any]:
    """What a card says of the checkpoint, besides what the export found."""
    from app.dataset import card as cards

    data = cards.read(run.records)
    return {
        "run": run.name,
        "step": checkpoint.step,
        "checkpoint": checkpoint.prefix.name,
        "metric": rule.metric,
        "direction": "lower" if lower_is_better(rule.metric, rule.direction) else "higher",
        "value": checkpoint.metrics.get(rule.metric),
        "metrics": checkpoint.metrics,
        "details": checkpoint.details,
        "data": {"source": data.source, "fingerprint": data.fingerprint} if data else None,
        "revision": read_object(run.provenance).get("revision"),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _roll_back(versions: ModelVersions) -> Promoted:
    if versions.current is None:
        versions.withdraw()
    with _one_at_a_time(versions):
        withdrawn, now = versions.withdraw()
    card = versions.card(now)
    logger.info("promote | version %d of %s is withdrawn: version %d serves", withdrawn, versions.folder.name, now)
    return Promoted(
        action="withdrawn",
        name=versions.folder.name,
        version=now,
        previous=withdrawn,
        folder=str(versions.path(now)),
        run=card.get("run", "unknown"),
        step=card.get("step"),
        metric=card.get("metric", ""),
        value=card.get("value"),
    )


@contextlib.contextmanager
def _one_at_a_time(versions: ModelVersions) -> Iterator[None]:
    """One promotion of a model at a time; the next waits, and then finds what this one has left."""
    refusal = SettingsError(
        "another promotion of this model is at work",
        where=str(versions.folder),
        remedy=f"wait for it to end, or take another name: {flag('serving_name')}",
    )
    with lock.hold_lock(versions.folder / ".lock", refusal, wait_secs=WAIT_SECONDS):
        yield
