"""Formats that are known by their files and not read, with what to do about each."""

import re
from collections.abc import Sequence
from pathlib import Path

from app import text_files
from app.dataset.formats import csv_boxes, datumaro

_LOOKED_AT = 200
_NAMES = (
    (re.compile(r".*\.ndjson"), "Ultralytics NDJSON: export it as YOLO or COCO"),
    (re.compile(r".*\.(parquet|arrow)"), "a Hugging Face data set: load_dataset it and write its boxes as COCO JSON"),
    (re.compile(r"metadata\.jsonl"), "Hugging Face's imagefolder: write its boxes as COCO JSON"),
    (re.compile(r".*\.manifest"), "a SageMaker manifest: convert it to COCO JSON"),
    (re.compile(r".*\.mat"), "MATLAB files: write their boxes as CSV or COCO JSON"),
    (re.compile(r".*\.vott|.*-export\.json"), "VoTT: export it as Pascal VOC, or --format=vott_json with Datumaro"),
    (re.compile(r"wider_face_.*_gt\.txt"), "WIDER FACE: --format=wider_face with Datumaro"),
    (re.compile(r"seqinfo\.ini"), "MOT: --format=mot_seq with Datumaro"),
)
_NUMBER = r"-?\d+(?:\.\d+)?"
_LINES = (
    (re.compile(rf"(imagesource:.*|gsd:.*|(?:{_NUMBER}\s+){{8}}\S*[^\d\s.]\S*\s+[012])"),
     "DOTA's rotated boxes: convert them with Datumaro (dota), or to YOLO's or COCO's"),
    (re.compile(rf"\d+(?:\s*,\s*{_NUMBER}){{6,9}}"),
     "lines of numbers as MOT or VisDrone write them: --format=mot_seq with Datumaro, or convert them to COCO JSON"),
    (re.compile(rf"\d+\s+-?\d+\s+[A-Za-z_]\w*(?:\s+{_NUMBER}){{14,15}}"),
     "KITTI's tracking labels: write them as its detection labels, a file a frame"),
    (re.compile(rf"\S.*\.\w{{3,4}}(?:\s+{_NUMBER}(?:,{_NUMBER}){{4}})+"),
     "keras-yolo3's boxes without the names of classes: a _classes.txt with a name a line"),
)  # fmt: skip
_COLUMNS = {
    "filename": {"image", "file", "file_name", "image_id", "img", "image_path", "path", "image_name", "imageid"},
    "class": {"label", "name", "class_name", "category", "labelname"},
    "xmin": {"x1", "x_min", "left"}, "ymin": {"y1", "y_min", "top"},
    "xmax": {"x2", "x_max", "right"}, "ymax": {"y2", "y_max", "bottom"},
}  # fmt: skip
"""What other tools call the columns of labelImg's CSV."""


def recognise(files: Sequence[Path]) -> str:
    """What the files are of, and what to convert it with, or an empty string."""
    for name, hint in _NAMES:
        if any(name.fullmatch(path.name.lower()) for path in files):
            return _with_datumaro(hint)
    for path in [path for path in files if path.suffix.lower() == ".csv"][:_LOOKED_AT]:
        if hint := _renamed(path):
            return hint
    for path in [path for path in files if path.suffix.lower() == ".txt"][:_LOOKED_AT]:
        first = next(iter(text_files.lines(path)), "")[:1000]
        for line, hint in _LINES:
            if line.fullmatch(first):
                return _with_datumaro(hint)
    return ""


def _with_datumaro(hint: str) -> str:
    there = "with Datumaro" not in hint or datumaro.is_installed()
    return hint if there else f"{hint} ({datumaro.INSTALL})"


def _renamed(path: Path) -> str:
    """Which columns of a CSV are to be renamed; nothing where that would not do."""
    first = next(iter(text_files.lines(path)), "")[:1000]
    header = [name.strip(' "').lower() for name in re.split("[,;\t]", first)]
    if first.startswith(("TRAIN,", "VALIDATION,", "TEST,", "UNASSIGNED,")):
        return "AutoML's CSV: convert it to COCO JSON, or to the columns " + ", ".join(csv_boxes.COLUMNS)
    renamed = []
    for wanted in csv_boxes.COLUMNS:
        if wanted not in header:
            there = next((name for name in header if name in _COLUMNS[wanted]), "")
            if not there:
                return ""
            renamed.append(f"{there} to {wanted}")
    return f"rename the columns of {path.name}: {', '.join(renamed)}" if renamed else ""
