"""The gate to serving: which checkpoint may become a version, and which version serves."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import GateError
from app.evaluation.selection import Rule, lower_is_better
from app.humanize import NOTHING_TO_MEASURE, format_figure
from app.run.directory import CARD, Run, serving_dir
from app.run.evaluations import measured
from app.run.files import append_line, read_lines, read_object
from app.run.lenient_json import Schema, count, number, text

WITHDRAWN, HISTORY = ".withdrawn", ".history.jsonl"
"""TensorFlow Serving takes a name for a version if it is an integer, and passes over all others."""
VERSION = Schema(
    {"action": text, "version": count, "run": text, "step": count, "metric": text, "direction": text, "value": number}
)
"""The card of a version, and a line of the history."""


@dataclass(frozen=True)
class ModelVersions:
    """The versions of one model: TensorFlow Serving's folder, `serving/<name>/`. The highest one serves."""

    folder: Path

    @property
    def versions(self) -> list[int]:
        """Those that are there, ascending."""
        return _numbered(self.folder)

    @property
    def current(self) -> int | None:
        """The one that serves."""
        return max(self.versions, default=None)

    def path(self, version: int) -> Path:
        return self.folder / str(version)

    def card(self, version: int | None) -> dict[str, Any]:
        """The version's card; empty if it has none, as one that was put there by hand."""
        return {} if version is None else read_object(self.path(version) / CARD, VERSION)

    def next(self) -> int:
        """A number above all that were ever given: a client that saw a version must not find another model there."""
        given = [row["version"] for row in self.history() if "version" in row]
        return max([0, *given, *self.versions, *_numbered(self.folder / WITHDRAWN)]) + 1

    def history(self) -> list[dict[str, Any]]:
        """What was promoted and taken back, in order: `action`, `version`, and for promotions what it was."""
        return read_lines(self.folder / HISTORY, VERSION)

    def note(self, action: str, version: int, **what: Any) -> None:
        """Adds a line to the history. For a promotion it comes first, so that no number is given twice."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        append_line(self.folder / HISTORY, {"action": action, "version": version, "time": stamp, **what})

    def serves(self, run: str, step: int | None, value: float | None) -> bool:
        """Whether this checkpoint is the one that serves."""
        card = self.card(self.current)
        return bool(card) and [card.get(key) for key in ("run", "step", "value")] == [run, step, value]

    def was_withdrawn(self, run: str, step: int | None, value: float | None) -> bool:
        """Whether this checkpoint has served and was taken back, by hand, the last time that it was promoted."""
        rows = self.history()
        same = [
            row.get("version")
            for row in rows
            if row.get("action") == "promoted"
            and [row.get(key) for key in ("run", "step", "value")] == [run, step, value]
        ]
        gone = {
            *_numbered(self.folder / WITHDRAWN),
            *(r.get("version") for r in rows if r.get("action") == "withdrawn"),
        }
        return bool(same) and same[-1] in gone

    def withdraw(self) -> tuple[int, int]:
        """Takes the highest version away; returns it and the one that serves now.

        It is moved to `.withdrawn/<version>` by one rename. Raises GateError if there is no other.
        """
        versions = self.versions
        if len(versions) < 2:
            only = f"version {versions[0]} is the only one" if versions else "nothing was promoted"
            raise GateError(
                f"there is no version to go back to: {only}",
                where=str(self.folder),
                remedy="detbox promote another checkpoint instead: --checkpoint",
            )
        *_, before, last = versions
        target = self.folder / WITHDRAWN / str(last)
        target.parent.mkdir(exist_ok=True)
        self.path(last).rename(target)
        self.note("withdrawn", last)
        return last, before


def describe_serving(run: Run) -> list[str]:
    """The models that serve a checkpoint of this run, in words."""
    found = []
    for folder in sorted(serving_dir(run.root.parent, "").glob("*")):
        model = ModelVersions(folder)
        card = model.card(model.current)
        if card.get("run") == run.name:
            found.append(f"version {model.current} of {folder.name}, step {card.get('step')}")
    return found


@dataclass(frozen=True)
class PromotionDecision:
    """Whether a checkpoint passes, and the reason in words (for one that passes: what is to be known of it)."""

    passes: bool
    reason: str = ""


def decide_promotion(
    value: float | None,
    rule: Rule,
    threshold: float | None,
    serving: int | None,
    card: Mapping[str, Any],
    *,
    by_hand: bool,
) -> PromotionDecision:
    """Whether a checkpoint with `value` of the rule's metric may take the place of version `serving`.

    `card`: that version's. With a threshold the value must be at or beyond it, and better than the card's. By hand
    any checkpoint passes without a threshold, and a version that can't be compared is no obstacle.
    """
    if threshold is None:
        return (
            PromotionDecision(True, _against(value, rule, serving, card).reason)
            if by_hand
            else PromotionDecision(False, "no threshold")
        )
    lower = lower_is_better(rule.metric, rule.direction)
    value = measured(value)
    if value is None:
        why = f"it was not evaluated by that, or had {NOTHING_TO_MEASURE}"
        return PromotionDecision(False, f"it has no {rule.metric}: {why}")
    if rule.is_better(threshold, value):
        side = "above" if lower else "below"
        return PromotionDecision(False, f"{rule.metric} {value:.4f} is {side} the threshold {threshold:g}")
    against = _against(value, rule, serving, card)
    if serving is not None and not _comparable(rule, card):
        return PromotionDecision(by_hand, against.reason)
    return against


def _against(value: float | None, rule: Rule, serving: int | None, card: Mapping[str, Any]) -> PromotionDecision:
    if serving is None:
        return PromotionDecision(True)
    if not _comparable(rule, card):
        theirs = f"has {card['metric']}, not {rule.metric}" if card.get("metric") else "has no metric in its card"
        return PromotionDecision(False, f"not comparable with version {serving}, which {theirs}")
    if not rule.is_better(value, card["value"]):
        ours, theirs = (format_figure(measured(figure), 4) for figure in (value, card["value"]))
        return PromotionDecision(False, f"{rule.metric} {ours} is not better than {theirs} of version {serving}")
    return PromotionDecision(True)


def _comparable(rule: Rule, card: Mapping[str, Any]) -> bool:
    if card.get("metric") != rule.metric or "value" not in card:
        return False
    lower = lower_is_better(rule.metric, rule.direction)
    return card.get("direction") in (None, "lower" if lower else "higher")


def _numbered(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    # int() takes more than Serving does: other scripts' digits, signs, underscores.
    names = [path.name for path in folder.iterdir() if path.name.isascii() and path.name.isdigit() and path.is_dir()]
    return sorted(int(name) for name in names if name == str(int(name)))
