"""`export`: a checkpoint becomes what other programs load, seen to find what the checkpoint finds."""

import contextlib
import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from app.checkpoint import Checkpoint, copy_sidecar_files, resolve_checkpoint
from app.errors import DetboxError, GateError, SettingsError
from app.export import formats as known
from app.export.parity_check import ParityCheck
from app.export.probe_images import ProbeImages, no_images
from app.run.directory import CARD, Run, find_run
from app.run.files import replacing, write_json
from app.settings import Settings, flag

logger = logging.getLogger(__name__)

PACKAGES = ("detbox", "object-detection", "tensorflow", "tf-keras", "tf2onnx", "onnx")


@dataclass(frozen=True)
class Form:
    """One form that `export` made. `parity`: how near the checkpoint it was found to be, as in its card."""

    form: str
    path: str
    step: int | None
    bytes: int
    seconds: float
    parity: dict[str, Any]
    words: str

    def __str__(self) -> str:
        return f"{self.path}: {self.bytes / 1e6:.1f} MB, {self.words}"


@dataclass(frozen=True)
class Exported:
    """What `export` made, and what `all` left out, with the reason."""

    forms: tuple[Form, ...]
    refused: dict[str, str]

    def __str__(self) -> str:
        lines = [str(form) for form in self.forms]
        return "\n".join(lines + [f"not made: {reason}" for reason in self.refused.values()])


def run(settings: Settings) -> Exported:
    """What `export` does."""
    run = find_run(settings.models_dir, settings.run_name)
    return export_forms(
        run,
        settings.export_forms,
        checkpoint=settings.checkpoint,
        signature_key=settings.signature_key,
        output=Path(settings.output).expanduser() if settings.output else None,
        images=settings.input,
    )


def export_forms(
    run: Run,
    forms: str,
    *,
    checkpoint: str = "best",
    signature_key: str = "serving_default",
    output: Path | None = None,
    images: str = "",
) -> Exported:
    """Exports a checkpoint in each of `forms` (comma-separated, or `all`) to a folder of that name, with a card.

    The folders are in `output`, the run's `exports/` without one. `images`: files, folders or globs, one a line, to
    compare on and to find int8's ranges with, where the run's records are not there.

    Under `all` what can't be made is left out, and said. Of forms asked for by name, the others are made first; then
    the first failure is raised: SettingsError if the architecture rules the form out, GateError if what was made does
    not find what the checkpoint finds (nothing is left of it), DetboxError if there is no such checkpoint.
    """
    wanted, chosen = known.parse(forms), resolve_checkpoint(run, checkpoint)
    at_hand = ProbeImages(run if chosen.run else None, images)
    refused = _refused(wanted, chosen, at_hand)
    by_name = known.ALL not in forms.split(",")
    if by_name and len(refused) == len(wanted):
        raise next(iter(refused.values()))
    _start()
    made, failed = [], dict(refused)
    with _session(run, chosen, signature_key, output or _own_folder(run), at_hand) as workshop:
        for form in wanted:
            if form in refused:
                continue
            try:
                made.append(workshop.make(form))
                logger.info("export | %s | %.1f s | %s", form, made[-1].seconds, made[-1])
            except DetboxError as error:
                failed[form] = error
                logger.info("export | %s | failed: %s", form, error)
    if failed and (by_name or not made):
        raise _together(failed, len(wanted))
    return Exported(tuple(made), {form: str(error) for form, error in failed.items()})


def saved_model_for_serving(
    run: Run,
    checkpoint: str,
    folder: Path,
    *,
    form: str = "image_tensor",
    signature_key: str = "serving_default",
) -> dict[str, Any]:
    """Writes a SavedModel of `form` straight into `folder`, as TensorFlow Serving wants a version, and its card.

    `folder` must not be there; label map and pipeline.config come into it too. Returns the card. TensorFlow must have
    been started. Raises GateError if it does not find what the checkpoint finds; the folder is gone then.
    """
    chosen = resolve_checkpoint(run, checkpoint)
    at_hand = ProbeImages(run if chosen.run else None, "")
    with _session(run, chosen, signature_key, folder.parent, at_hand) as workshop:
        return workshop.for_serving(form, folder)


def _start() -> None:
    from app.odapi import runtime

    runtime.start(use_gpu=False)


def _own_folder(run: Run) -> Path:
    if not run.root.is_dir():
        raise SettingsError(
            "there is no such run to put exports in",
            where=str(run.root),
            remedy=f"name the run or another folder: {flag('run')}, {flag('output')}",
        )
    return run.exports


def _refused(wanted: tuple[str, ...], checkpoint: Checkpoint, images: ProbeImages) -> dict[str, DetboxError]:
    """Which forms can't be made of this model, or with what is at hand. TensorFlow is not loaded for it."""
    from app.protos import pipeline_config

    where = checkpoint.pipeline_config
    refused = known.refusals(
        wanted, pipeline_config.parse_pipeline(where.read_text(encoding="utf-8"), where=str(where)).model
    )
    if known.INT8 in wanted and known.INT8 not in refused and not images.represent:
        refused[known.INT8] = no_images()
    return refused


def _together(failed: dict[str, DetboxError], asked: int) -> DetboxError:
    """The first failure as it is, or with the others in its words."""
    first, *others = failed.values()
    if not others:
        return first
    words = "; ".join(f"{form}: {error.what.removeprefix(f'{form}: ')}" for form, error in failed.items())
    told = type(first)(f"{len(failed)} of {asked} forms were not made: {words}", remedy=first.remedy)
    return told


@contextlib.contextmanager
def _session(
    run: Run, checkpoint: Checkpoint, signature_key: str, output: Path, images: ProbeImages
) -> Iterator["ExportSession"]:
    with tempfile.TemporaryDirectory(prefix="detbox-export-") as folder:
        yield ExportSession(run, checkpoint, signature_key, output, images, Path(folder))


class ExportSession:
    """One checkpoint's model, built once, and what it finds on the images to compare on."""

    def __init__(
        self,
        run: Run,
        checkpoint: Checkpoint,
        signature_key: str,
        output: Path,
        images: ProbeImages,
        folder: Path,
    ):
        from app.export.writer import FormatWriter
        from app.odapi import checkpoint_detector, exporter

        self._run, self._checkpoint, self._output, self._signature_key = run, checkpoint, output, signature_key
        self._names = _names(checkpoint)
        detector = checkpoint_detector.CheckpointDetector(checkpoint.pipeline_config, checkpoint.prefix)
        self._judge = ParityCheck(detector, images.probes(), images.examples, images.source, self._names)
        self._maker = FormatWriter(
            exporter.Exporter(checkpoint.pipeline_config, checkpoint.prefix),
            name=checkpoint.run or checkpoint.prefix.name,
            labels=[self._names.get(number, f"class {number}") for number in range(1, max(self._names, default=0) + 1)],
            signature_key=signature_key,
            images=images.representative,
            workspace=folder,
        )

    def make(self, form: str) -> Form:
        """Makes `form` under its final name, with its card, or raises and leaves what was there before."""
        target = self._output / form
        with replacing(target) as folder:
            folder.mkdir()
            card = self._finish(form, folder, lambda: self._maker.make(form, folder))
        keys = ("form", "step", "bytes", "seconds", "parity", "words")
        return Form(path=str(target / card["model"]), **{key: card[key] for key in keys})

    def for_serving(self, form: str, target: Path) -> dict[str, Any]:
        """Makes the SavedModel `form` in `target` itself. Returns its card."""
        with replacing(target) as folder:

            def make() -> Path:
                self._maker.saved_model(form, folder)
                return folder

            return self._finish(form, folder, make)

    def _finish(self, form: str, folder: Path, make: Any) -> dict[str, Any]:
        from app.detection import loader

        started = time.monotonic()
        model = make()
        copy_sidecar_files(self._checkpoint, folder, self._run)
        loaded = loader.load(model)
        verdict = self._judge.judge(form, loaded)
        if not verdict.passed:
            raise GateError(
                f"{form} does not find what the checkpoint finds: {verdict.words}",
                where=str(self._checkpoint.prefix),
                remedy=f"nothing was kept of it; the other forms may do: {flag('export_forms')}",
            )
        card = {
            "form": form,
            "model": model.relative_to(folder).as_posix(),
            "run": self._checkpoint.run,
            "step": self._checkpoint.step,
            "checkpoint": self._checkpoint.prefix.name,
            "metrics": self._checkpoint.metrics,
            "details": self._checkpoint.details,
            "classes": {str(number): name for number, name in sorted(self._names.items())},
            **({"signature_key": self._signature_key} if form in known.SAVED_MODELS else {}),
            **loaded.signature(),
            "parity": verdict.figures,
            "words": verdict.words,
            "versions": _versions(),
            "seconds": round(time.monotonic() - started, 1),
            **_files(folder),
        }
        write_json(folder / CARD, card)
        return card


def _names(checkpoint: Checkpoint) -> dict[int, str]:
    from app.detection import sidecar_files

    return sidecar_files.read_class_names(checkpoint.label_map) if checkpoint.label_map else {}


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
