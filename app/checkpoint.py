"""One checkpoint with all that belongs to it."""

import contextlib
import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import DetboxError, SettingsError
from app.protos.label_map import read_class_names
from app.run.directory import CARD, CHECKPOINT_STATE, LABEL_MAP, PIPELINE_CONFIG, Run, checkpoint_step
from app.run.evaluations import read_best, read_details, read_evaluations
from app.run.files import read_object, write_text
from app.run.lenient_json import Schema, count, mapping, numbers
from app.settings import flag

PROMOTED = Schema({"step": count, "metrics": numbers, "details": mapping})
"""The card of a promoted checkpoint."""
REMEDY = f"best, newest, a step, or the path of one: {flag('checkpoint')}"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, resolved once and passed as itself.

    `prefix`: of its files. `label_map`: None without one beside it. `step`: None for one of unknown origin. `run`: the
    run that it is of, None for a path that leads to no known run. `metrics`, `details`: of its evaluation, empty if it
    had none; a figure is None where there was nothing to measure.
    """

    prefix: Path
    pipeline_config: Path
    label_map: Path | None
    step: int | None = None
    run: Run | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.prefix) if self.step is None else f"step {self.step}"

    @property
    def run_name(self) -> str:
        """Empty without a run."""
        return self.run.name if self.run else ""

    def class_names(self) -> dict[int, str]:
        """Class ids to the names that people read; empty without a label map. Raises SettingsError, OSError."""
        return read_class_names(self.label_map) if self.label_map else {}

    def copy_to(self, folder: Path) -> "Checkpoint":
        """A copy in `folder`, as every tool of the OD API loads it: weights, sidecar files, state file."""
        folder.mkdir(exist_ok=True)
        for path in files_of(self.prefix):
            shutil.copy2(path, folder / path.name)
        copied = self.copy_sidecar_files_to(folder)
        # Upstream's exporter finds a checkpoint by this file.
        write_text(folder / CHECKPOINT_STATE, f'model_checkpoint_path: "{self.prefix.name}"\n')
        return dataclasses.replace(copied, prefix=folder / self.prefix.name)

    def copy_sidecar_files_to(self, folder: Path) -> "Checkpoint":
        """The same checkpoint, with copies of its pipeline.config and label map in `folder`."""
        config, label_map = folder / PIPELINE_CONFIG, self.label_map and folder / LABEL_MAP
        shutil.copyfile(self.pipeline_config, config)
        if self.label_map and label_map:
            shutil.copyfile(self.label_map, label_map)
        return dataclasses.replace(self, pipeline_config=config, label_map=label_map)


def files_of(prefix: Path) -> list[Path]:
    """The files of a checkpoint, the index last: where it is there, the checkpoint is whole."""
    return [*sorted(prefix.parent.glob(f"{prefix.name}.data-*")), prefix.with_name(f"{prefix.name}.index")]


def bytes_of(prefix: Path) -> int:
    """Bytes of a checkpoint; files that go away meanwhile count as nothing."""
    total = 0
    for path in files_of(prefix):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def resolve_checkpoint(run: Run, wanted: str) -> Checkpoint:
    """The checkpoint `wanted`: best, newest, a step of `run`, or a path.

    Raises DetboxError where the run has none such, SettingsError for a path that leads to none or to several.
    """
    if wanted == "best":
        return _best(run)
    steps = run.checkpoint_steps()
    if wanted == "newest":
        if not steps:
            raise DetboxError("this run has no checkpoint yet", where=str(run.root), remedy="detbox train")
        return _of_step(run, steps[-1])
    if wanted.isdecimal():
        best = read_best(run)
        if int(wanted) not in steps and best.get("step") == int(wanted):
            return _best(run)
        if int(wanted) not in steps:
            there = f"there are {', '.join(map(str, steps))}" if steps else "there are none"
            raise DetboxError(f"there is no checkpoint of step {wanted}; {there}", where=str(run.root), remedy=REMEDY)
        return _of_step(run, int(wanted))
    prefix = _prefix(Path(wanted).expanduser())
    if _same(prefix.parent, run.best) and run.best_card.is_file():
        return _best(run)
    step = checkpoint_step(prefix.name)
    if _same(prefix.parent, run.root) and step is not None:
        return _of_step(run, step)
    found = unknown_checkpoint(prefix)
    if not prefix.resolve().is_relative_to(run.root.resolve()):
        return found
    known = read_object(prefix.parent / CARD, PROMOTED)
    metrics, details = known.get("metrics", {}), known.get("details", {})
    return dataclasses.replace(found, run=run, step=known.get("step", step), metrics=metrics, details=details)


def _best(run: Run) -> Checkpoint:
    best = read_best(run)
    if not best:
        raise DetboxError(
            "no checkpoint is the best: none was evaluated, or there was nothing to measure",
            where=str(run.root),
            remedy=f"detbox evaluate --once, or another one: {flag('checkpoint', 'newest')}",
        )
    return Checkpoint(
        prefix=run.best / best.get("checkpoint", run.checkpoint(best["step"]).name),
        pipeline_config=run.best / run.pipeline_config.name,
        label_map=run.best / run.label_map.name,
        step=best["step"],
        run=run,
        metrics=best.get("metrics", {}),
        details=best.get("details", {}),
    )


def _of_step(run: Run, step: int) -> Checkpoint:
    row = next((row for row in read_evaluations(run) if row["step"] == step), {})
    return Checkpoint(
        prefix=run.checkpoint(step),
        pipeline_config=run.pipeline_config,
        label_map=run.label_map,
        step=step,
        run=run,
        metrics=row.get("metrics", {}),
        details=dict(read_details(run, step)),
    )


def unknown_checkpoint(prefix: Path) -> Checkpoint:
    """A checkpoint of no run that is known here, with what lies beside it or, as in the model zoo's layout, above."""
    folders = (prefix.parent, prefix.parent.parent)
    config = next((folder / PIPELINE_CONFIG for folder in folders if (folder / PIPELINE_CONFIG).is_file()), None)
    if config is None:
        raise SettingsError(
            "there is no pipeline.config beside this checkpoint or above it",
            where=str(prefix),
            remedy="put it there: it says what the weights belong to",
        )
    maps = [found for folder in folders for found in sorted(folder.glob("*label*map*.pbtxt"))]
    return Checkpoint(prefix=prefix, pipeline_config=config, label_map=maps[0] if maps else None)


def find_prefixes(path: Path) -> list[Path]:
    """The prefix that `path` is, or is a file of, or those in the folder `path` (or in `checkpoint/` within)."""
    if path.is_dir():
        found = sorted(path.glob("*.index")) or sorted(path.glob("checkpoint/*.index"))
    elif path.suffix == ".index" or ".data-" in path.name:
        found = [path.with_name(path.name.partition(".data-")[0].removesuffix(".index") + ".index")]
    else:
        found = [path.with_name(f"{path.name}.index")]
    return [index.with_suffix("") for index in found if index.is_file()]


def _prefix(path: Path) -> Path:
    found = find_prefixes(path)
    if len(found) != 1:
        what = f"there are {len(found)} checkpoints: name one" if found else "there is no checkpoint here"
        raise SettingsError(what, where=str(path), remedy=REMEDY)
    return found[0]


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()
