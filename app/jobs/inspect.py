"""`inspect`: what is in a data set or in records, and how a model's anchors fit it."""

import dataclasses
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app import progress
from app.dataset import card as cards
from app.dataset import data_links
from app.dataset.image_index import root_of
from app.errors import SettingsError
from app.inspection import contact_sheet, dataset_view, duplicates, page, statistics, summary
from app.jobs import prepare
from app.pipeline import image_size, origin
from app.pipeline.zoo import catalogue, local, store
from app.protos import pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.run.directory import Run, find_run
from app.run.files import refuse_foreign, replacing, write_json
from app.settings import Settings, flag

logger = logging.getLogger(__name__)

PAGE, FIGURES, SHEET = "index.html", "inspect.json", "sheet.jpg"


def run(settings: Settings) -> summary.Inspected:
    """Looks at the data set that the settings name, else at the run's records, else at the built-in sample.

    Writes a page, a contact sheet and the figures into `--output`, whole or not at all. Raises DatasetError where
    there is nothing to look at, SettingsError for a model or a folder that can't be used.
    """
    run = find_run(settings.models_dir, settings.run_name)
    folder = Path(settings.output).resolve() if settings.output else run.inspection
    own = (PAGE, FIGURES, SHEET)
    refuse_foreign(folder, lambda path: path.name in own, remedy=f"choose an empty or a new folder: {flag('output')}")
    model, config = _model(run, settings)
    view = _view(run, settings)
    logger.info("inspect | format %s, because of %s", view.format, view.reason)
    counts, pairs, sample = (
        statistics.DatasetStatistics(view.classes),
        duplicates.DuplicateFinder(),
        contact_sheet.SheetSample(settings.seed),
    )
    with progress.shown("images", None) as report:
        done = itertools.count(1)
        for image in view.summaries(lambda: report(next(done), view.total)):
            for one in (counts, pairs, sample):
                one.add(image)
    with progress.shown("duplicates", None) as report:
        found = pairs.find(report)
    with progress.shown("contact sheet", None) as report:
        cells = list(_cells(view, sample, report))
    files = {"page": str(folder / PAGE), "sheet": str(folder / SHEET), "figures": str(folder / FIGURES)}
    result = summary.summarize_dataset(view, counts, found, model, config, files)
    _write(folder, result, cells)
    return result


def _write(folder: Path, result: summary.Inspected, cells: list[Any]) -> None:
    with replacing(folder) as target:
        target.mkdir()
        (target / PAGE).write_text(page.render(result, cells), encoding="utf-8")
        contact_sheet.compose([(name, image) for name, image, _ in cells]).save(target / SHEET, quality=88)
        write_json(target / FIGURES, dataclasses.asdict(result))


def _view(run: Run, settings: Settings) -> dataset_view.DatasetView:
    folder = Path(settings.dataset).resolve() if settings.dataset else run.records
    for place in (folder, Run(folder).records):
        card = cards.read(place) if settings.format == "auto" else None
        if card is not None:
            return dataset_view.view_of_records(place, card)
    source = folder if settings.dataset else prepare.builtin_sample(run, settings)
    with data_links.reading(root_of(source), follow=settings.follow_links):
        return dataset_view.view_of_dataset(
            source,
            format=settings.format,
            train_split=settings.train_split,
            eval_split=settings.eval_split,
            eval_fraction=settings.eval_fraction,
            seed=settings.seed,
            max_pixels=settings.max_image_pixels,
        )


def _model(run: Run, settings: Settings) -> tuple[str, PipelineConfig]:
    """The name and the pipeline of the model: as given, else the prepared run's own, else the default preset."""
    model = settings.model
    if not model and not settings.fine_tune_checkpoint and run.pipeline_config.is_file():
        model = str(run.pipeline_config)
    found = origin.find_origin(_fetched(settings, model), settings.fine_tune_checkpoint)
    image_size.edit(found.config, settings.image_size)
    if settings.config_override:
        pipeline_config.merge_pipeline(settings.config_override, found.config, where="config_override")
    return found.name, found.config


def _fetched(settings: Settings, model: str) -> str:
    """The model, or the folder of a model of the zoo that is here: nothing is downloaded to look at a data set."""
    known = None if not model or model in origin.presets() or Path(model).exists() else catalogue.find(model)
    if known is None:
        return model
    stored = store.stored(known, local.zoo_folder(settings.models_dir, settings.zoo_dir))
    if stored is None:
        raise SettingsError(
            f"{known.name} of the zoo is not here, so its anchors are unknown",
            remedy=f"detbox zoo fetch {known.name}, or another {flag('model')}",
        )
    return str(stored.folder)


def _cells(view: Any, sample: Any, report: Any) -> Iterator[tuple[str, Any, int]]:
    """The images of the sheet as (name, drawn image, number of boxes)."""
    ids = {name: number for number, name in enumerate(view.classes, start=1)}
    names = sample.select(view.classes)
    for number, (name, pixels) in enumerate(view.pixels(names), start=1):
        boxes = sample.summaries[name]
        report(number, len(names))
        yield name, contact_sheet.cell(pixels, boxes, ids), len(boxes)
