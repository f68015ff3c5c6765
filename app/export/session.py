"""The export of one checkpoint: each format written, and held to what the checkpoint finds."""

import contextlib
import hashlib
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np

from app.checkpoint import Checkpoint
from app.detection.loader import Loaded, LoadedExport, LoadedSavedModel
from app.errors import DetboxError, GateError
from app.export import formats as known
from app.export import warmup_requests
from app.export.parity_check import ParityCheck
from app.export.probe_images import ProbeImages, no_images
from app.export.writer import FormatWriter, ModelExporter
from app.protos import pipeline_config
from app.run.directory import CARD
from app.run.files import replacing, write_json
from app.settings import flag
from app.terminal_text import escape_controls

logger = logging.getLogger(__name__)

PACKAGES = ("detbox", "object-detection", "tensorflow", "tf-keras", "tf2onnx", "onnx")


LoadModels = Callable[[Checkpoint], tuple[Loaded, ModelExporter]]
"""Starts TensorFlow and builds a checkpoint's model as a detector, and as what exports are made of."""


@dataclass(frozen=True)
class Form:
    """One form that `export` made. `parity`: how near the checkpoint it was found to be, as in its card."""

    form: str
    path: str
    step: int | None
    bytes: int
    seconds: float
    parity: dict[str, Any]
    summary: str

    def __str__(self) -> str:
        return f"{self.path}: {self.bytes / 1e6:.1f} MB, {self.summary}"


@dataclass(frozen=True)
class Exported:
    """What `export` made, and what `all` left out, with the reason."""

    forms: tuple[Form, ...]
    refused: dict[str, str]

    def __str__(self) -> str:
        lines = [str(form) for form in self.forms]
        return "\n".join(lines + [f"not made: {reason}" for reason in self.refused.values()])


def export_formats(
    checkpoint: Checkpoint,
    formats: str,
    load: LoadModels,
    output: Path,
    *,
    signature_key: str = "serving_default",
    images: str = "",
) -> Exported:
    """Exports the checkpoint in each of `formats` (comma-separated, or `all`) to a folder of that name, with a card.

    The folders are in `output`. `images`: files, folders or globs, one a line, to compare on and to find int8's ranges
    with, where the run's records are not there.

    Under `all` what can't be made is left out, and said. Of formats asked for by name, the others are made first; then
    the first failure is raised: SettingsError if the architecture rules the format out, GateError if what was made
    does not find what the checkpoint finds (nothing is left of it).
    """
    wanted, probes = known.parse(formats), ProbeImages(checkpoint.run, images)
    refused = _refused(wanted, checkpoint, probes)
    by_name = known.ALL not in formats.split(",")
    if by_name and len(refused) == len(wanted):
        raise next(iter(refused.values()))
    made, failed = [], dict(refused)
    with export_session(checkpoint, load, probes, signature_key=signature_key) as session:
        for form in wanted:
            if form in refused:
                continue
            try:
                made.append(session.export(form, output / form))
                logger.info("export | %s | %.1f s | %s", form, made[-1].seconds, made[-1])
            except DetboxError as error:
                failed[form] = error
                logger.info("export | %s | failed: %s", form, error)
    if failed and (by_name or not made):
        raise _together(failed, len(wanted))
    return Exported(tuple(made), {form: str(error) for form, error in failed.items()})


def export_for_serving(
    checkpoint: Checkpoint,
    load: LoadModels,
    folder: Path,
    *,
    form: str = "image_tensor",
    signature_key: str = "serving_default",
) -> dict[str, Any]:
    """Writes a SavedModel of `form` straight into `folder`, as TensorFlow Serving wants a version, and its card.

    `folder` must not be there; label map and pipeline.config come into it too. Returns the card. Raises GateError if
    it does not find what the checkpoint finds on the run's held-out images; the folder is gone then.
    """
    with export_session(checkpoint, load, ProbeImages(checkpoint.run, ""), signature_key=signature_key) as session:
        return session.export_for_serving(form, folder)


def _refused(wanted: tuple[str, ...], checkpoint: Checkpoint, images: ProbeImages) -> dict[str, DetboxError]:
    """Which forms can't be made of this model, or with what is at hand. TensorFlow is not loaded for it."""
    config = pipeline_config.read_pipeline(checkpoint.pipeline_config)
    refused: dict[str, DetboxError] = dict(known.refusals(wanted, config.model))
    if known.INT8 in wanted and known.INT8 not in refused and not images.represent:
        refused[known.INT8] = no_images()
    return refused


def _together(failed: dict[str, DetboxError], asked: int) -> DetboxError:
    """The first failure as it is, or with the others in its text."""
    first, *others = failed.values()
    if not others:
        return first
    reasons = "; ".join(f"{form}: {error.what.removeprefix(f'{form}: ')}" for form, error in failed.items())
    told = type(first)(f"{len(failed)} of {asked} forms were not made: {reasons}", remedy=first.remedy)
    return told


@contextlib.contextmanager
def export_session(
    checkpoint: Checkpoint, load: LoadModels, probes: ProbeImages, *, signature_key: str = "serving_default"
) -> Iterator["ExportSession"]:
    """An `ExportSession`, whose workspace goes away at its end."""
    with tempfile.TemporaryDirectory(prefix="detbox-export-") as folder:
        yield ExportSession(checkpoint, load, probes, signature_key, Path(folder))


class ExportSession:
    """One checkpoint's model, built once, and what it finds on the images to compare on."""

    def __init__(
        self, checkpoint: Checkpoint, load: LoadModels, probes: ProbeImages, signature_key: str, workspace: Path
    ) -> None:
        self._checkpoint, self._signature_key = checkpoint, signature_key
        self._names = checkpoint.class_names()
        detector, exporter = load(checkpoint)
        images = probes.probes()
        self._parity = ParityCheck(detector, images, probes.examples, probes.source, self._names)
        self._blank = np.zeros_like(images[0])
        self._writer = FormatWriter(
            exporter,
            name=checkpoint.run_name or checkpoint.prefix.name,
            labels=_labels(self._names),
            signature_key=signature_key,
            images=probes.representative,
            workspace=workspace,
        )

    def export(self, form: str, target: Path) -> Form:
        """Writes `form` to the folder `target` with its card, or raises and leaves what was there before."""
        started = time.monotonic()
        with replacing(target) as folder:
            folder.mkdir()
            card = self._complete(form, folder, self._writer.write(form, folder), started)
        return Form(
            path=str(target / card["model"]),
            form=card["form"],
            step=card["step"],
            bytes=card["bytes"],
            seconds=card["seconds"],
            parity=card["parity"],
            summary=card["summary"],
        )

    def export_for_serving(self, form: str, target: Path) -> dict[str, Any]:
        """Writes the SavedModel `form` to `target` itself, with a request to warm up on. Returns its card."""
        from app.detection import loader

        started = time.monotonic()
        with replacing(target) as folder:
            self._writer.saved_model(form, folder)
            loaded = cast(LoadedSavedModel, loader.load(folder))
            warmup_requests.write(folder, self._signature_key, loaded.request(self._blank))
            return self._complete(form, folder, folder, started, loaded)

    def _complete(
        self, form: str, folder: Path, model: Path, started: float, loaded: LoadedExport | None = None
    ) -> dict[str, Any]:
        """Adds sidecar files and card to `model` in `folder`. Raises GateError if it is not what the checkpoint is."""
        from app.detection import loader

        self._checkpoint.copy_sidecar_files_to(folder)
        loaded = loaded or loader.load(model)
        parity = self._parity.check(form, loaded)
        if not parity.passed:
            raise GateError(
                f"{form} does not find what the checkpoint finds: {parity.summary}",
                where=str(self._checkpoint.prefix),
                remedy=f"nothing was kept of it; the other formats may do: {flag('export_forms')}",
            )
        card = {
            "form": form,
            "model": model.relative_to(folder).as_posix(),
            "run": self._checkpoint.run_name,
            "step": self._checkpoint.step,
            "checkpoint": self._checkpoint.prefix.name,
            "metrics": self._checkpoint.metrics,
            "details": self._checkpoint.details,
            "classes": {str(number): name for number, name in sorted(self._names.items())},
            **({"signature_key": self._signature_key} if form in known.SAVED_MODELS else {}),
            **loaded.signature(),
            "parity": parity.figures,
            "summary": parity.summary,
            "versions": _versions(),
            "seconds": round(time.monotonic() - started, 1),
            **_files(folder),
        }
        write_json(folder / CARD, card)
        return card


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _files(folder: Path) -> dict[str, Any]:
    """Bytes in all, and the SHA-256 of each file by its path in the export."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "bytes": sum(path.stat().st_size for path in files),
        "files": {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }


def _labels(names: Mapping[int, str]) -> list[str]:
    """The names of classes 1 and up, each fit for a line of a file."""
    numbers = range(1, max(names, default=0) + 1)
    return [escape_controls(names.get(number, f"class {number}")) for number in numbers]
