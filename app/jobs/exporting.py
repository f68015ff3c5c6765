"""`export`: the run's best checkpoint becomes a SavedModel that other programs load."""

import dataclasses
import io
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from app import runs
from app.dataset import card as cards
from app.dataset import records
from app.errors import DetboxError, GateError
from app.jobs import runfolder
from app.settings import Settings

logger = logging.getLogger(__name__)

PROBED = ("image_tensor", "float_image_tensor")
"""Input types whose SavedModel takes the pixels that a checkpoint takes, so that both can be compared."""
SCORE_TOLERANCE, PIXEL_TOLERANCE = 1e-3, 1.0


@dataclass(frozen=True)
class Exported:
    """What `export` made."""

    folder: str
    input_type: str
    step: int
    difference: dict | None

    def __str__(self) -> str:
        same = "not compared with the checkpoint"
        if self.difference:
            same = "scores within {score:.1e} and boxes within {pixels:.2f} pixels of the checkpoint's"
            same = same.format(**self.difference)
        return f"{self.folder}/saved_model: step {self.step}, input {self.input_type}, {same}"


def export(settings: Settings) -> Exported:
    """What `export` does."""
    from app.odapi import runtime

    run = runfolder.find(settings)
    runtime.start(use_gpu=False)
    return export_forms(run, settings.export_forms)


def export_forms(run: runs.Run, input_type: str) -> Exported:
    """Exports the best checkpoint to `exports/<input_type>/`, in the model zoo's layout with label map and card.

    TensorFlow must have been started. Raises DetboxError if nothing was evaluated yet, GateError if the SavedModel
    does not give the checkpoint's detections on a held-out picture; nothing is left under the final name then.
    """
    from app.odapi import exporting

    best = runs.read_json(run.best_card)
    if best is None:
        raise DetboxError("no checkpoint was evaluated", where=str(run.root), remedy="detbox evaluate --once")
    target = run.exports / input_type
    with runs.replacing(target) as folder:
        exporting.saved_model(run.best / run.pipeline_config.name, run.best, folder, input_type)
        shutil.copy2(run.best / run.label_map.name, folder / run.label_map.name)
        found = _compare(run, best["checkpoint"], folder) if input_type in PROBED else None
        result = Exported(str(target), input_type, best["step"], found)
        runs.write_json(folder / "card.json", dataclasses.asdict(result) | {"metrics": best["metrics"]})
    logger.info("export | %s", result)
    return result


def _compare(run: runs.Run, checkpoint: str, folder: Path) -> dict:
    """The largest differences on one picture. Raises GateError where they are beyond the tolerance."""
    from app.odapi import detection, exporting

    picture = _probe(run)
    ours = detection.Detector(run.best / run.pipeline_config.name, run.best / checkpoint).detect([picture])[0]
    found = exporting.difference(folder, picture, ours.boxes, ours.scores, ours.classes)
    if not found.same_classes or found.score > SCORE_TOLERANCE or found.pixels > PIXEL_TOLERANCE:
        raise GateError(
            f"the SavedModel does not give the checkpoint's detections: {found}",
            where=str(folder.parent.parent),
            remedy="nothing was exported; please report it with the run's pipeline.config",
        )
    return dataclasses.asdict(found)


def _probe(run: runs.Run) -> np.ndarray:
    """A held-out picture, or noise where the records are gone: uint8, height x width x 3."""
    card = cards.read(run.records)
    for row in records.read(sorted(run.records.glob(card.eval.records)) if card else []):
        return np.asarray(Image.open(io.BytesIO(row["image/encoded"][0])).convert("RGB"))
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
