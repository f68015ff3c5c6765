"""Held-out images with detections drawn on them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app import drawing
from app.checkpoint import Checkpoint
from app.dataset import card as cards
from app.dataset.records import Example, read_examples
from app.detection.loader import Loaded
from app.errors import DetboxError
from app.evaluation import figures
from app.evaluation.details import UNDECIDED_SCORE
from app.evaluation.matching import Errors, EvaluatedImage
from app.humanize import format_count
from app.run.directory import Run
from app.run.files import replacing, write_json
from app.run.lenient_json import count as whole
from app.run.lenient_json import listed, mapping, number, text


@dataclass(frozen=True)
class SelectedImage:
    """An image to draw, why (`worst`, `best` or `first`), and its errors where an evaluation has counted them."""

    image: str
    kind: str
    false_negatives: int | None = None
    false_positives: int | None = None


def draw_held_out_images(best: Checkpoint, detector: Loaded, count: int) -> None:
    """Draws what `detector`, the run's `best` checkpoint, detects on `count` held-out images into `detections/`.

    Half are those with the most errors, half those with the fewest; `index.json` says which. Raises DetboxError for a
    run without records.
    """
    run = best.run
    card = cards.read(run.records) if run else None
    if run is None or card is None:
        raise DetboxError("has no records to draw on", where=str(best.prefix), remedy="detbox prepare")
    details = best.details
    chosen = select_images(details, count) or [
        SelectedImage(held.name, "first")
        for held in itertools.islice(read_examples(run.records, card.eval.records), count)
    ]
    images = {
        held.name: held for held in read_examples(run.records, card.eval.records, {item.image for item in chosen})
    }
    shown_from = class_thresholds(details)
    index = []
    with replacing(run.detections) as folder:
        folder.mkdir()
        for number, item in enumerate(item for item in chosen if item.image in images):
            held = images[item.image]
            pixels = held.pixels()
            (found,) = detector.detect([pixels])
            shown = _labelled(found.boxes, found.scores, found.classes, card, shown_from)
            file = f"{number:02d}-{item.kind}-{Path(item.image).stem}.jpg"
            drawing.draw(pixels, shown, _truth(held)).save(folder / file, quality=90)
            index.append({"file": file, **asdict(item)})
        write_json(folder / run.detections_index.name, index)


def select_images(details: Mapping[str, Any], count: int) -> list[SelectedImage]:
    """`count` of the images that `details` names: half the worst, half the best, none twice."""
    images = mapping(details.get("images"))
    rows: dict[str, SelectedImage] = {}
    for kind, most in (("worst", count - count // 2), ("best", count)):
        for row in map(mapping, listed(images.get(kind))):
            name = text(row.get("name"))
            if len(rows) < most and name and name not in rows:
                negatives, positives = row.get("false_negatives"), row.get("false_positives")
                rows[name] = SelectedImage(name, kind, whole(negatives), whole(positives))
    return list(rows.values())


def class_thresholds(details: Mapping[str, Any]) -> dict[str, float]:
    """The score from which a detection counts, by the name of its class."""
    found, same = {}, number(details.get("score"))
    for row in map(mapping, listed(details.get("classes"))):
        wanted = same if same is not None else number(row.get("f1_threshold"))
        found[str(row.get("name"))] = UNDECIDED_SCORE if wanted is None else wanted
    return found


def draw_side_by_side(
    run: Run, card: cards.Card, chosen: Sequence[tuple[EvaluatedImage, Errors]], shown_from: Mapping[str, float]
) -> list[Image.Image]:
    """Each of `chosen` with its detections on the left and its groundtruth on the right, in their order."""
    images = {
        held.name: held for held in read_examples(run.records, card.eval.records, {image.name for image, _ in chosen})
    }
    drawn = []
    for image, errors in chosen:
        held = images.get(image.name)
        if held is not None:
            pixels = held.pixels()
            height, width = pixels.shape[:2]
            boxes = image.boxes / np.array([height, width, height, width], np.float32)
            left = drawing.draw(pixels, _labelled(boxes, image.scores, image.classes, card, shown_from))
            truth = [replace(item, label=card.classes[item.class_id - 1]) for item in _truth(held)]
            right = drawing.draw(pixels, truth)
            counts = (
                format_count(errors.false_negatives, "false negative"),
                format_count(errors.false_positives, "false positive"),
                f"{errors.misclassified} misclassified",
                format_count(errors.true_positives, "true positive"),
            )
            drawn.append(figures.join_side_by_side(left, right, f"{image.name}: {', '.join(counts)}"))
    return drawn


def _labelled(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, card: cards.Card, shown_from: Mapping[str, float]
) -> list[drawing.Labelled]:
    """The detections to draw, `boxes` normalized: those that count by the score of their class."""
    return [
        drawing.Labelled(tuple(box), class_id, f"{card.classes[class_id - 1]} {score:.0%}")
        for box, score, class_id in zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True)
        if score >= shown_from.get(card.classes[class_id - 1], UNDECIDED_SCORE)
    ]


def _truth(held: Example) -> list[drawing.Labelled]:
    rows = zip(held.boxes.tolist(), held.class_ids.tolist(), strict=True)
    return [drawing.Labelled((ymin, xmin, ymax, xmax), class_id, "") for (ymin, xmin, ymax, xmax), class_id in rows]
