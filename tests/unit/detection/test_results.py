"""Detections as files that other programs read."""

import csv
import io
import json

import pytest

from app.detection import results
from app.detection.results import Found, ImageDetections

IMAGES = [
    ImageDetections(
        "a/1.jpg", 200, 100, "a/1.jpg", (Found(2, 0.9, (20.0, 10.0, 120.0, 60.0)), Found(7, 0.5, (0, 0, 200, 100)))
    ),
    ImageDetections('b/"1", x.png', 10, 10, "b/1.png.jpg", ()),
]
NAMES = {1: "cat", 2: "Hähnchen, gebraten"}


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0.1, 0.1, 0.6, 0.6), (20, 10, 120, 60)),
        ((-0.5, -1, 2, 1.5), (0, 0, 200, 100)),
        ((0.5, 0.5, 0.4, 0.4), (100, 50, 100, 50)),
    ],
)
def test_boxes_in_pixels(box, expected):
    """Corners as x and y, never beyond the edge, never turned around."""
    assert results.in_pixels(box, 200, 100) == pytest.approx(expected)


def test_coco_tools_read_it(tmp_path):
    """pycocotools loads the file and finds images, classes and boxes in it."""
    from pycocotools.coco import COCO

    path = tmp_path / "detections.json"
    path.write_text(json.dumps(results.coco(IMAGES, NAMES, {"description": "x"})))
    coco = COCO(str(path))
    assert [coco.imgs[n]["file_name"] for n in (1, 2)] == [p.file_name for p in IMAGES]
    assert {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())} == {**NAMES, 7: "class 7"}
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert (first["bbox"], first["category_id"], first["score"]) == ([20.0, 10.0, 100.0, 50.0], 2, 0.9)
    assert second["category_id"] == 7 and coco.getAnnIds(imgIds=[2]) == []
    assert len(coco.loadRes([dict(a) for a in (first, second)]).anns) == 2


def test_csv_has_a_line_a_detection():
    """Whatever is in names of files and classes, a CSV reader gets it back."""
    rows = list(csv.DictReader(io.StringIO(results.table(IMAGES, NAMES))))
    assert [row["class"] for row in rows] == ["Hähnchen, gebraten", "class 7"]
    assert [float(rows[0][side]) for side in ("xmin", "ymin", "xmax", "ymax")] == [20, 10, 120, 60]
    assert rows[0]["file_name"] == "a/1.jpg" and float(rows[0]["score"]) == 0.9
