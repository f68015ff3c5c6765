"""A run directory as detbox wrote it before images were called images: the small text files, shortened.

Details of an evaluation are in its line, and the keys are those of then.
"""

import json
from pathlib import Path
from typing import Any

from PIL import Image

MAP = "DetectionBoxes_Precision/mAP"
STARTED = 1_795_628_680.0
CLASSES = ("circle", "right")
"""The second is a word that is also a key of the details."""
SCORES = {40: 5.8426978613427564e-05, 80: 0.14478225189966634, 120: 0.09275861155502713}
LOSSES = {20: 1.786618947982788, 40: 1.2082033157348633, 80: 0.5800521373748779, 120: 0.6096181869506836}
CONFUSION = [[10, 1, 2], [0, 15, 8], [23, 27, 0]]
SETTINGS = {"models_dir": "/models", "run": "old", "sample_pictures": 80, "num_train_steps": 120, "batch_size": 0}
DRAWN = [("00-worst-shapes_69.jpg", "val/shapes_69.jpg", 2, 22), ("01-best-shapes_65.jpg", "val/shapes_65.jpg", 0, 3)]


def write(models_dir: Path) -> Path:
    """The run `old` and the version that it serves; returns its directory."""
    root = models_dir / "old"
    files: dict[str, Any] = {
        "run.json": {
            "time": "2026-11-25T17:44:39+0000", "settings": SETTINGS, "versions": {"detbox": "0.1.0"},
            "patches": {"version": "0.1+detbox.1", "patches": []}, "dataset_fingerprint": "341507", "zoo_model": None,
            "host": {"name": "host", "platform": "Linux", "cpus": 2}, "revision": "cde3d51",
        },
        "records/dataset.json": {
            "source": "/models/old/sample-80-0", "format": "coco", "reason": "COCO JSON",
            "classes": list(CLASSES), "splits": {"train": split("train", 64, 226), "eval": split("val", 16, 69)},
            "faults": [], "arguments": {"format": "coco", "seed": 0}, "fingerprint": "341507", "state": "104869",
            "masks": False, "keypoints": 0,
        },
        "best/best.json": {
            "step": 80, "metric": MAP, "direction": "higher", "value": SCORES[80], "checkpoint": "ckpt-80",
            "metrics": metrics(80), "details": details(80),
        },
        "detections/index.json": [
            {"file": file, "picture": name, "kind": file.split("-")[1], "missed": missed, "invented": invented}
            for file, name, missed, invented in DRAWN
        ],
        "exports/image_tensor/card.json": {
            "form": "image_tensor", "model": "saved_model", "run": "old", "step": 80, "checkpoint": "ckpt-80",
            "classes": {"1": "circle", "2": "right"}, "bytes": 5688782, "details": details(80), "metrics": metrics(80),
            "parity": {"score": 0.0, "compared": 382, "unmatched": 0, "pictures": 8, "source": "held-out pictures"},
            "words": "scores within 0.0e+00 of the checkpoint's on 8 held-out pictures",
        },
        "../serving/old/1/card.json": {
            "name": "old", "version": 1, "run": "old", "step": 80, "metric": MAP, "direction": "higher",
            "value": SCORES[80], "details": details(80), "note": "",
        },
        "status/trainer.json": beat("trainer", "completed", STARTED + 24),
        "status/evaluator.json": beat("evaluator", "training has ended", STARTED + 117),
        "DONE": {"step": 120, "of": 120, "reason": "completed", "time": STARTED + 24},
    }  # fmt: skip
    for name, content in files.items():
        write_text(root / name, json.dumps(content, indent=2))
    write_text(root / "metrics.jsonl", lines(metrics_row(step, loss) for step, loss in LOSSES.items()))
    write_text(root / "evaluations.jsonl", lines(map(evaluation, SCORES)))
    write_text(root / "pipeline.config", "train_config {\n  batch_size: 8\n  num_steps: 120\n}\n")
    write_text(root / "pipeline.diff", "--- preset tiny\n+++ pipeline.config\n-  num_classes: 1\n+  num_classes: 2\n")
    write_text(
        root / "label_map.pbtxt", "".join(f'item {{\n  id: {n}\n  name: "{c}"\n}}\n' for n, c in enumerate(CLASSES, 1))
    )
    for step in SCORES:
        write_text(root / f"ckpt-{step}.index", "")
    for file, *_ in DRAWN:
        Image.new("RGB", (32, 24)).save(root / "detections" / file)
    return root


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def split(source: str, images: int, boxes: int) -> dict[str, Any]:
    """A split in the card of the records."""
    return {
        "source": source, "pictures": images, "pictures_without_boxes": 1, "boxes": boxes, "most_boxes": 6, "shards": 1,
        "boxes_per_class": {"circle": boxes - 40, "right": 40}, "records": f"{source}-?????-of-00001.tfrecord",
    }  # fmt: skip


def beat(service: str, reason: str, time: float) -> dict[str, Any]:
    """A heartbeat of a service that is done."""
    done = {"service": service, "state": "done", "step": 120, "of": 120, "reason": reason}
    return {**done, "time": time, "since": time, "advanced": time, "pid": 12453}


def metrics_row(step: int, loss: float) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    return {
        "step": step, "of": 120, "time": STARTED + step / 5, "loss": loss, "losses": {"Loss/total_loss": loss},
        "learning_rate": 0.08, "steps_per_sec": 8.0, "examples_per_sec": 64.0, "memory_mb": 1281.9,
    }  # fmt: skip


def metrics(step: int) -> dict[str, float]:
    """Those of an evaluation."""
    return {MAP: SCORES[step], "Loss/total_loss": 0.64, "Train/total_loss": LOSSES[step]}


def evaluation(step: int) -> dict[str, Any]:
    """A line of evaluations.jsonl: `time` was last, after the details."""
    return {
        "step": step, "checkpoint": f"ckpt-{step}", "pictures": 16, "expected": 16, "seconds": 0.5,
        "metrics": metrics(step), "details": details(step), "time": STARTED + step,
    }  # fmt: skip


def details(step: int) -> dict[str, Any]:
    """Classes, confusion and images of an evaluation."""
    rows = [
        {
            "name": name, "groundtruth": 13, "ap": SCORES[step], "ap50": 0.3, "ar": 0.6, "f1_threshold": 0.25,
            "f1": 0.43, "precision": 0.35, "recall": 0.65, "missed": 6, "invented": 27, "confused": 2,
            "curve": [0.5] * 101,
        }
        for name in CLASSES
    ]  # fmt: skip
    listed = [
        {"name": name, "missed": missed, "invented": invented, "confused": 0, "right": 6}
        for _, name, missed, invented in DRAWN
    ]
    return {
        "iou": 0.5,
        "score": None,
        "classes": rows,
        "confusion": {"labels": [*CLASSES, "background"], "matrix": CONFUSION},
        "pictures": {"worst": listed, "best": listed[::-1]},
    }
