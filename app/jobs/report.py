"""`report`: the page of a run, or of several compared."""

import dataclasses
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.environment import COMPOSE
from app.errors import SettingsError
from app.humanize import format_bytes, short_metric
from app.run.directory import Run, comparison_page, find_run, find_runs
from app.run.files import read_object, write_text
from app.run.heartbeat import first_line
from app.run.results import copy_results
from app.settings import Settings, flag, is_given

if TYPE_CHECKING:
    from app.report.run_report import Report

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFigures:
    """The key figures of one run, for `--json`."""

    run: str
    step: int
    state: str
    metric: str
    best: float | None
    best_step: int | None
    training_seconds: float | None
    steps_per_sec: float | None
    bytes: int

    def __str__(self) -> str:
        best = (
            "not evaluated yet"
            if self.best is None
            else f"{short_metric(self.metric)} {self.best:.3f} at step {self.best_step}"
        )
        return f"{self.run}: step {self.step}, {self.state}, {best}"


@dataclass(frozen=True)
class Reported:
    """The page that `report` wrote, and the figures on it."""

    page: str
    bytes: int
    runs: list[RunFigures]

    def __str__(self) -> str:
        return "\n".join([*map(str, self.runs), f"{self.page} ({format_bytes(self.bytes)})"])


def run(settings: Settings) -> Reported:
    """Writes the page of the run, or the comparison of the runs that `compare` names.

    Raises SettingsError if there is no such run, or if the page can't be written.
    """
    from app.report import comparison, page

    chosen = chosen_runs(settings)
    reports = [_read(run, settings) for run in chosen]
    if len(chosen) == 1:
        text, usual = page.render_run(reports[0]), chosen[0].report
    else:
        text, usual = comparison.render_comparison(reports), comparison_page(settings.models_dir.resolve())
    target = _target(settings.output, usual)
    try:
        write_text(target, text)
    except OSError as error:
        raise SettingsError(
            f"can't be written: {error.strerror}", where=str(target), remedy=f"another place: {flag('output')}"
        ) from error
    return Reported(str(target), target.stat().st_size, [_figures(report) for report in reports])


def report_at_end(ended: Run, settings: Settings) -> str | None:
    """The page of a run that has ended, or None with a warning if it can't be written; copies the results if asked."""
    page = _page_at_end(ended, settings)
    if settings.results_dir:
        try:
            logger.info("results | %s", copy_results(ended, Path(settings.results_dir)))
        except OSError as error:
            logger.warning("the results can't be copied to %s: %s", settings.results_dir, error)
    elif COMPOSE in os.environ and page:
        logger.info(
            "results | docker compose cp evaluator:%s . copies all of them; RESULTS_DIR=./results does at each end",
            ended.root,
        )
    return page


def _page_at_end(ended: Run, settings: Settings) -> str | None:
    try:
        return run(dataclasses.replace(settings, run=ended.name, compare="", output="")).page
    except Exception as error:  # Whatever it is: hours of training must not end in the error of a page.
        logger.debug("report", exc_info=True)
        logger.warning(
            "no report.html: %s: %s -> detbox report --run=%s --debug",
            type(error).__name__,
            first_line(error),
            ended.name,
        )
        return None


def chosen_runs(settings: Settings) -> list[Run]:
    """The runs to report on, each once, in the order given. Raises SettingsError for one that is not there."""
    named = [name.strip().rstrip("/") for name in settings.compare.split(",") if name.strip()]
    found = [_find(settings.models_dir, name) for name in named] or [find_run(settings.models_dir, settings.run_name)]
    for run in found:
        if not run.exists:
            known = ", ".join(other.name for other in find_runs(run.root.parent)) or "none"
            raise SettingsError(
                f"there is no run {run.name} in {run.root.parent}",
                remedy=f"{flag('run', 'NAME')}, {flag('models_dir')}; there are: {known}",
            )
    return list(dict.fromkeys(found))


def _find(models_dir: Path, name: str) -> Run:
    """The run of that name, or in that folder: a shell completes `models/a`."""
    folder = Path(name)
    if folder.name != name and folder.is_dir():
        return find_run(folder.resolve().parent, folder.resolve().name)
    return find_run(models_dir, name)


def _read(run: Run, settings: Settings) -> "Report":
    """The figures of a run. Without `best_metric` of its own, the metric is what chose the run's best checkpoint."""
    from app.dataset import card as cards
    from app.report import run_report

    card = read_object(run.dataset_card)
    known = cards.from_json(card)
    return run_report.read_report(
        run,
        metric=settings.best_metric if is_given(settings, "best_metric") else "",
        lower=settings.best_metric_direction == "lower" if settings.best_metric_direction else None,
        dataset=known.to_json() if known else card or None,
    )


def _target(output: str, usual: Path) -> Path:
    """Where the page goes: the usual place, or a file, or the usual name in a folder."""
    if not output:
        return usual
    path = Path(output)
    return path / usual.name if path.is_dir() or output.endswith("/") else path


def _figures(report: "Report") -> RunFigures:
    return RunFigures(
        run=report.run,
        step=report.step,
        state=report.state,
        metric=report.metric,
        best=report.best.value if report.best else None,
        best_step=report.best.step if report.best else None,
        training_seconds=report.cost.training_seconds,
        steps_per_sec=report.cost.steps_per_sec,
        bytes=report.cost.total_bytes,
    )
