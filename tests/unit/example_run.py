"""A run directory with figures drawn by lot, for tests of the report: what the page shows must come from here."""

import io
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from app.run import provenance
from app.run.directory import Run
from app.run.evaluations import append_evaluation
from app.run.files import write_json, write_text
from app.run.goodput import Goodput, write_goodput
from app.settings import Settings

MAP = "DetectionBoxes_Precision/mAP"
STARTED = 1_700_000_000.0


def write(
    root: Path,
    *,
    seed: int = 1,
    classes: Sequence[str] = ("wheel", "lamp", "door"),
    steps: int = 200,
    images: int = 4,
    size: tuple[int, int] = (120, 90),
    fingerprint: str = "ba86d00f",
    **settings: Any,
) -> Run:
    """The run at `root`: a row of metrics every 10 steps, an evaluation every 50, images, card, provenance."""
    lot, run = random.Random(seed), Run(root)
    root.mkdir(parents=True)
    write_lines(run.metrics, [row(lot, step, steps) for step in range(10, steps + 1, 10)])
    evaluations = [evaluate(lot, step, classes) for step in range(50, steps + 1, 50)]
    details = {evaluation["step"]: evaluation.pop("details") for evaluation in evaluations}
    for evaluation in evaluations:
        append_evaluation(run, evaluation, details[evaluation["step"]])
    best: dict[str, Any] = {}
    for evaluation in evaluations:
        step = evaluation["step"]
        if not best or evaluation["metrics"][MAP] > best["value"]:
            best = {"step": step, "metric": MAP, "direction": "higher", "value": evaluation["metrics"][MAP]}
            best |= {"checkpoint": f"ckpt-{step}", "metrics": evaluation["metrics"], "details": details[step]}
    write_json(run.best_card, best)
    write_json(run.done, {"step": steps, "of": steps, "reason": "completed", "time": STARTED + steps})
    write_goodput(run, Goodput(training=480, saving=30, starting=30, lost=60, saves=4, failures=1))
    draw(run, lot, images, size)
    write_json(run.dataset_card, card(lot, classes, fingerprint))
    given = Settings(run=root.name, models_dir=root.parent, **settings)
    write_json(run.provenance, provenance.collect(given, {"patches": [{}, {}]}, fingerprint))
    write_text(run.pipeline_config, f'train_config {{\n  batch_size: {seed}\n}}\n# "{root}"\n')
    write_text(run.pipeline_diff, f"--- preset\n+++ pipeline.config\n-  batch_size: 8\n+  batch_size: {seed}\n")
    return run


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A `.jsonl` file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def row(lot: random.Random, step: int, steps: int) -> dict[str, Any]:
    """A line of metrics.jsonl at two steps a second."""
    parts = {f"Loss/{name}_loss": lot.random() + 1 for name in ("classification", "localization")}
    return {
        "step": step,
        "of": steps,
        "time": STARTED + step / 2,
        "loss": sum(parts.values()),
        "losses": {**parts, "Loss/total_loss": sum(parts.values())},
        "learning_rate": 0.04 * (1 + math.cos(math.pi * step / steps)),
        "steps_per_sec": 2.0,
        "examples_per_sec": 16.0,
        "memory_mb": 1200 + step,
    }


def evaluate(lot: random.Random, step: int, classes: Sequence[str]) -> dict[str, Any]:
    """A line of evaluations.jsonl, with its details."""
    rows = [figures(lot, name) for name in classes]
    size = range(len(classes) + 1)
    # Some rows are full on the diagonal: the strongest ground that a figure may stand on.
    matrix = [[lot.randint(500, 999) if i == j else lot.choice((0, 1)) for j in size] for i in size]
    return {
        "step": step,
        "checkpoint": f"ckpt-{step}",
        "images": 40,
        "expected": 40,
        "seconds": 3.5,
        "time": STARTED + step,
        "metrics": {
            MAP: sum(row["ap"] for row in rows) / len(rows),
            "DetectionBoxes_Precision/mAP@.50IOU": lot.random(),
            "DetectionBoxes_Precision/mAP (small)": -1.0,
            "DetectionBoxes_Recall/AR@100": lot.random(),
            "Loss/total_loss": lot.random() + 1,
        },
        "details": {
            "iou": 0.5,
            "score": None,
            "classes": rows,
            "confusion": {"labels": [*classes, "background"], "matrix": matrix},
            "images": {"worst": [], "best": []},
        },
    }


def figures(lot: random.Random, name: str) -> dict[str, Any]:
    """A class of an evaluation's details."""
    shares = ("ap", "ap50", "ar", "f1_threshold", "f1", "precision", "recall")
    counts = ("groundtruth", "false_negatives", "false_positives", "misclassified")
    return {
        "name": name,
        **{share: lot.random() for share in shares},
        **{count: lot.randint(100, 999) for count in counts},
        "curve": sorted((round(lot.random(), 4) for _ in range(101)), reverse=True),
    }


def draw(run: Run, lot: random.Random, count: int, size: tuple[int, int]) -> None:
    """The same image of noise, which no encoder makes small, under several names, with their index."""
    run.detections.mkdir(parents=True)
    index, noise = [], io.BytesIO()
    Image.effect_noise(size, 90).save(noise, "JPEG", quality=95)
    for at in range(count):
        kind, file = ("worst", "best")[at % 2], f"{at:02d}.jpg"
        (run.detections / file).write_bytes(noise.getvalue())
        index.append({"file": file, "image": f"photo-{at}", "kind": kind})
        index[-1] |= {"false_negatives": lot.randint(10, 99), "false_positives": lot.randint(10, 99)}
    write_json(run.detections_index, index)


def card(lot: random.Random, classes: Sequence[str], fingerprint: str) -> dict[str, Any]:
    """The card of the records."""
    splits = {}
    for name in ("train", "eval"):
        boxes = {label: lot.randint(1000, 9999) for label in classes}
        splits[name] = {
            "source": name, "images": lot.randint(1000, 9999), "images_without_boxes": 0, "boxes_per_class": boxes,
            "boxes": sum(boxes.values()), "most_boxes": 9, "shards": 1, "records": f"{name}-?.tfrecord",
        }  # fmt: skip
    faults = [{"kind": "box of zero size", "action": "dropped", "count": lot.randint(100, 999), "examples": []}]
    return {
        "source": "/data/set", "format": "coco", "reason": "", "classes": list(classes), "splits": splits,
        "faults": faults, "arguments": {}, "fingerprint": fingerprint, "state": "",
    }  # fmt: skip


def rewrite(path: Path, **changes: Any) -> None:
    """Changes top-level values of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
