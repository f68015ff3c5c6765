"""The checkpoint that a command is to work on."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import DetboxError, SettingsError
from app.run.directory import PIPELINE_CONFIG, Run, checkpoint_step
from app.run.evaluations import read_best, read_details, read_evaluations
from app.settings import flag

REMEDY = f"best, newest, a step, or the path of one: {flag('checkpoint')}"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint with what belongs to it.

    `prefix`: of its files. `step`: None for one of unknown origin. `metrics` and `details`: of its evaluation, empty
    if it had none. `label_map`: None where there is none beside it. `run`: the run's name, empty for a path.
    """

    prefix: Path
    pipeline_config: Path
    label_map: Path | None
    step: int | None = None
    run: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


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
    return alone(prefix)


def copy_sidecar_files(checkpoint: Checkpoint, folder: Path, run: Run) -> None:
    """Copies the checkpoint's pipeline.config and label map into `folder`, under the names that a run has for them."""
    shutil.copyfile(checkpoint.pipeline_config, folder / run.pipeline_config.name)
    if checkpoint.label_map:
        shutil.copyfile(checkpoint.label_map, folder / run.label_map.name)


def _best(run: Run) -> Checkpoint:
    best = read_best(run)
    if not best:
        raise DetboxError(
            "no checkpoint was evaluated",
            where=str(run.root),
            remedy=f"detbox evaluate --once, or another one: {flag('checkpoint')}",
        )
    return Checkpoint(
        prefix=run.best / best["checkpoint"],
        pipeline_config=run.best / run.pipeline_config.name,
        label_map=run.best / run.label_map.name,
        step=best["step"],
        run=run.name,
        metrics=best.get("metrics") or {},
        details=best.get("details") or {},
    )


def _of_step(run: Run, step: int) -> Checkpoint:
    row = next((row for row in read_evaluations(run) if row["step"] == step), {})
    return Checkpoint(
        prefix=run.checkpoint(step),
        pipeline_config=run.pipeline_config,
        label_map=run.label_map,
        step=step,
        run=run.name,
        metrics=row.get("metrics") or {},
        details=dict(read_details(run, step)),
    )


def alone(prefix: Path) -> Checkpoint:
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


def prefixes(path: Path) -> list[Path]:
    """The prefix that `path` is, or is a file of, or those in the folder `path` (or in `checkpoint/` within)."""
    if path.is_dir():
        found = sorted(path.glob("*.index")) or sorted(path.glob("checkpoint/*.index"))
    elif path.suffix == ".index" or ".data-" in path.name:
        found = [path.with_name(path.name.partition(".data-")[0].removesuffix(".index") + ".index")]
    else:
        found = [path.with_name(f"{path.name}.index")]
    return [index.with_suffix("") for index in found if index.is_file()]


def _prefix(path: Path) -> Path:
    found = prefixes(path)
    if len(found) != 1:
        what = f"there are {len(found)} checkpoints: name one" if found else "there is no checkpoint here"
        raise SettingsError(what, where=str(path), remedy=REMEDY)
    return found[0]


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve()
