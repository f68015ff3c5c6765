"""Held-out pictures with the best model's detections, to look at."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from app import drawing, runs
from app.dataset import card as cards
from app.dataset import records
from app.errors import DetboxError

DRAWN_SCORE = 0.4
"""Detections below this score are not drawn."""


def draw(run: runs.Run, count: int) -> None:
    """Draws the best checkpoint's detections on the first `count` held-out pictures into `detections/`.

    TensorFlow must have been started.
    """
    from app.odapi import detection

    best, card = runs.read_json(run.best_card), cards.read(run.records)
    if best is None or card is None:
        raise DetboxError("no checkpoint was evaluated", where=str(run.root), remedy="detbox evaluate --once")
    detector = detection.Detector(run.best / run.pipeline_config.name, run.best / best["checkpoint"])
    with runs.replacing(run.detections) as folder:
        folder.mkdir()
        rows = records.read(sorted(run.records.glob(card.eval.records)))
        for number, row in zip(range(count), rows, strict=False):
            picture = np.asarray(Image.open(io.BytesIO(row["image/encoded"][0])).convert("RGB"))
            (found,) = detector.detect([picture])
            shown = [
                drawing.Labelled(tuple(box), int(label), f"{card.classes[label - 1]} {score:.0%}")
                for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True)
                if score >= DRAWN_SCORE
            ]
            truth = [
                drawing.Labelled(sides, int(label), "")
                for *sides, label in zip(
                    *(row[f"image/object/bbox/{side}"] for side in ("ymin", "xmin", "ymax", "xmax")),
                    row["image/object/class/label"],
                    strict=True,
                )
            ]
            name = Path(row["image/filename"][0].decode()).stem
            drawing.draw(picture, shown, truth).save(folder / f"{number:02d}-{name}.jpg", quality=90)
