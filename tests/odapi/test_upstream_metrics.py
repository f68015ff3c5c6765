"""Upstream's metrics sets behind our door, against computations of another origin."""

import contextlib
import io
import math

import numpy as np
import pytest
import voc_precision
from voc_precision import Scored

pytestmark = pytest.mark.odapi
CLASSES = {1: "cat", 2: "dog", 3: "Künstler", 4: "never there"}
SIZE, PADDED, CANVAS, DETECTIONS = (120, 160), 12, (128, 176), 20
KEYPOINTS = 3


@pytest.fixture(scope="module")
def door():
    """The module under test, imported after TensorFlow was made ready."""
    from app.odapi import runtime

    runtime.start(use_gpu=False)
    from app.odapi import metrics_sets

    return metrics_sets


def config(text: str = ""):
    from app.protos import pipeline_config

    reader = f"eval_input_reader {{ num_keypoints: {KEYPOINTS} }}"
    return pipeline_config.parse_pipeline(f"model {{ ssd {{ }} }} {reader} {text}", where="test")


def padded(values, rows, fill=0):
    """`values` with rows of `fill` up to `rows`."""
    values = np.asarray(values)
    return np.concatenate([values, np.full((rows - len(values), *values.shape[1:]), fill, values.dtype)])


def batch(rng, images: int = 4, *, several: float = 0.15, difficult: float = 0.15) -> dict:
    """A batch as `prepare_eval_dict` gives it: padding has class 1, as upstream's has, and boxes that can be hit."""
    rows = [_image(rng, several, difficult) for _ in range(images)]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _image(rng, several, difficult):
    many, (height, width) = int(rng.integers(0, PADDED)), SIZE
    corner = np.floor(rng.uniform(0, 80, (many, 2)))
    boxes = np.concatenate([corner, np.minimum(corner + np.floor(rng.uniform(8, 60, (many, 2))), SIZE)], 1)
    classes = rng.integers(1, 4, many)
    masks = np.array([_ellipse(box) for box in boxes], np.uint8).reshape(many, *CANVAS)
    shown = int(rng.integers(0, DETECTIONS)) if many else 2
    near = rng.integers(0, max(many, 1), shown)
    source = boxes[near] if many else np.tile([5.0, 5.0, 40.0, 40.0], (shown, 1))
    found = np.clip(np.round(source + rng.normal(0, 3, (shown, 4))), 0, [height, width, height, width])
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 2)
    guesses = np.where(rng.random(shown) < 0.85, classes[near] if many else 1, rng.integers(1, 4, shown))
    points = rng.uniform(0, 1, (many, KEYPOINTS, 2)) * (boxes[:, 2:] - boxes[:, :2])[:, None] + boxes[:, None, :2]
    found_points = points[near] + rng.normal(0, 2, (shown, KEYPOINTS, 2)) if many else np.zeros((shown, KEYPOINTS, 2))
    return {
        "hash": np.int64(7),
        "key": np.int64(7),
        "source_id": np.bytes_(b"one name for all"),
        "original_image_spatial_shape": np.array(SIZE, np.int32),
        "num_groundtruth_boxes": np.int32(many),
        "groundtruth_boxes": padded(boxes.astype(np.float32), PADDED, 5),
        "groundtruth_classes": padded(classes, PADDED, 1),
        "groundtruth_difficult": padded((rng.random(many) < difficult).astype(np.int32), PADDED),
        "groundtruth_is_crowd": padded(rng.random(many) < several / 2, PADDED),
        "groundtruth_group_of": padded(rng.random(many) < several / 2, PADDED),
        "groundtruth_area": padded(np.prod(boxes[:, 2:] - boxes[:, :2], 1).astype(np.float32), PADDED),
        "groundtruth_instance_masks": padded(masks, PADDED, 1),
        "groundtruth_keypoints": padded(points.astype(np.float32), PADDED),
        "groundtruth_keypoint_visibilities": padded(rng.random((many, KEYPOINTS)) < 0.8, PADDED, True),
        # A flag a class, all up: the records say nothing, so that every class was looked for.
        "groundtruth_image_classes": np.ones(len(CLASSES), np.float32),
        "groundtruth_verified_neg_classes": np.zeros(len(CLASSES) + 1, np.float32),
        "groundtruth_not_exhaustive_classes": np.zeros(len(CLASSES) + 1, np.float32),
        "num_detections": np.int32(shown),
        "detection_boxes": padded(found.astype(np.float32), DETECTIONS, 5),
        "detection_scores": padded(rng.uniform(0.05, 1, shown).astype(np.float32), DETECTIONS, 0.99),
        "detection_classes": padded(guesses, DETECTIONS, 1),
        "detection_masks": padded(
            np.array([_ellipse(box) for box in found], np.uint8).reshape(shown, *CANVAS), DETECTIONS, 1
        ),
        "detection_keypoints": padded(found_points.astype(np.float32), DETECTIONS),
    }


def _ellipse(box) -> np.ndarray:
    top, left, bottom, right = box
    y, x = np.mgrid[: CANVAS[0], : CANVAS[1]] + 0.5
    inside = ((y - (top + bottom) / 2) / (bottom - top)) ** 2 + ((x - (left + right) / 2) / (right - left)) ** 2 <= 0.25
    return inside.astype(np.uint8)


def scene(seed: int, batches: int = 8, **values) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [batch(rng, **values) for _ in range(batches)]


def figures(door, batches, *names, text="", classes=CLASSES):
    categories = [{"id": number, "name": name} for number, name in classes.items()]
    sets = door.MetricsSets(config(text), names, categories)
    for each in batches:
        for image in door.split_batch(each):
            sets.add(image)
    return sets.measure()


def counted(batches):
    """`(image, number of boxes, number of detections)` of every row, cut by hand."""
    for each in batches:
        for at, (truths, shown) in enumerate(zip(each["num_groundtruth_boxes"], each["num_detections"], strict=True)):
            yield {name: values[at] for name, values in each.items()}, int(truths), int(shown)


def scored(batches, *, groups: bool) -> list[Scored]:
    """The images for the other computation; boxes around several objects as groups, else neither hit nor miss."""
    found = []
    for row, truths, shown in counted(batches):
        several = (row["groundtruth_is_crowd"] | row["groundtruth_group_of"])[:truths]
        found.append(
            Scored(
                truth=row["groundtruth_boxes"][:truths].astype(float),
                truth_classes=row["groundtruth_classes"][:truths],
                boxes=row["detection_boxes"][:shown].astype(float),
                classes=row["detection_classes"][:shown],
                scores=row["detection_scores"][:shown].astype(float),
                ignored=np.zeros(truths, bool) if groups else several | (row["groundtruth_difficult"][:truths] > 0),
                groups=several if groups else np.zeros(truths, bool),
            )
        )
    return found


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("name", "prefix", "groups", "values", "is_pooled", "text"),
    [
        ("pascal_voc_detection_metrics", "PascalBoxes_", False, {}, False, ""),
        ("weighted_pascal_voc_detection_metrics", "WeightedPascalBoxes_", False, {}, True, ""),
        ("precision_at_recall_detection_metrics", "PrecisionAtRecallBoxes_", False, {}, False, ""),
        (
            "precision_at_recall_detection_metrics", "PrecisionAtRecallBoxes_", False, {"low": 0.2, "high": 0.7}, False,
            "eval_config { recall_lower_bound: 0.2 recall_upper_bound: 0.7 }",
        ),
        ("oid_V2_detection_metrics", "OpenImagesV2_", True, {}, False, ""),
        ("oid_challenge_detection_metrics", "OpenImagesDetectionChallenge_", True, {"weight": 1.0}, False, ""),
    ],
)  # fmt: skip
def test_average_precision_is_that_of_another_computation(door, seed, name, prefix, groups, values, is_pooled, text):
    """Padding counts for nothing; difficult boxes and crowds are what the rules say; a class without boxes is NaN."""
    batches = scene(seed)
    found = figures(door, batches, name, text=text)
    each, mean, together = voc_precision.measure(scored(batches, groups=groups), list(CLASSES), **values)
    bounds = f"@[{values['low']},{values['high']}]Recall" if "low" in values else ""
    assert 0.1 < mean < 0.95
    assert found.pop(f"{prefix}Precision/mAP@0.5IOU{bounds}") == pytest.approx(
        together if is_pooled else mean, abs=1e-6
    )
    for number, label in CLASSES.items():
        assert found.pop(f"{prefix}PerformanceByCategory/AP@0.5IOU/{label}") == pytest.approx(
            each[number], abs=1e-6, nan_ok=True
        )
    assert math.isnan(each[4]) and not found


def coco_figures(batches, kind: str, numbers, sigmas=None):
    """pycocotools' own figures of masks (`segm`) or keypoints."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, truths, found = [], [], []
    for number, (row, many, shown) in enumerate(counted(batches), 1):
        images.append({"id": number, "height": SIZE[0], "width": SIZE[1]})
        for at in range(many):
            seen = row["groundtruth_keypoint_visibilities"][at]
            points = np.concatenate([row["groundtruth_keypoints"][at][:, ::-1], seen[:, None]], 1)
            drawn = row["groundtruth_instance_masks"][at][: SIZE[0], : SIZE[1]]
            truths.append({
                "id": len(truths) + 1, "image_id": number, "category_id": int(row["groundtruth_classes"][at]),
                "segmentation": _rle(drawn), "bbox": _corner_and_size(row["groundtruth_boxes"][at]),
                "area": float(drawn.sum() if kind == "segm" else row["groundtruth_area"][at]),
                "iscrowd": int(row["groundtruth_is_crowd"][at] or row["groundtruth_group_of"][at]),
                "keypoints": points.reshape(-1).tolist(), "num_keypoints": int(seen.sum()),
            })  # fmt: skip
        for at in range(shown):
            points = np.concatenate([row["detection_keypoints"][at][:, ::-1], np.ones((KEYPOINTS, 1))], 1)
            result = {
                "image_id": number, "category_id": int(row["detection_classes"][at]),
                "score": float(row["detection_scores"][at]),
            }  # fmt: skip
            found.append(
                result | {"segmentation": _rle(row["detection_masks"][at][: SIZE[0], : SIZE[1]])} if kind == "segm"
                else result | {"keypoints": points.reshape(-1).tolist()}
            )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        categories = [{"id": number, "name": CLASSES[number]} for number in numbers]
        truth.dataset = {
            "images": images, "categories": categories,
            "annotations": [each for each in truths if each["category_id"] in numbers],
        }  # fmt: skip
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes([each for each in found if each["category_id"] in numbers]), kind)
        if sigmas is not None:
            evaluator.params.kpt_oks_sigmas = np.array(sigmas)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats


def _rle(drawn):
    from pycocotools import mask

    return mask.encode(np.asfortranarray(drawn))


def _corner_and_size(box):
    top, left, bottom, right = map(float, box)
    return [left, top, right - left, bottom - top]


def test_masks_are_measured_as_pycocotools_does(door):
    """All twelve; sizes are those of the masks, and the images of a batch differ in size from their canvas."""
    from app.evaluation.metrics_sets import COCO_FIGURES

    batches = scene(3)
    found = figures(door, batches, "coco_mask_metrics")
    wanted = coco_figures(batches, "segm", list(CLASSES))
    assert 0.1 < wanted[0] < 0.95
    np.testing.assert_allclose([found[f"DetectionMasks_{name}"] for name in COCO_FIGURES], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("coco_mask_metrics", "DetectionMasks_Precision/mAP"),
        ("lvis_mask_metrics", "DetectionMasks_AP"),
        ("pascal_voc_instance_segmentation_metrics", "PascalMasks_Precision/mAP@0.5IOU"),
    ],
)
def test_a_box_without_a_mask_is_neither_hit_nor_miss(door, name, figure):
    """What was found on it, with the best score, takes nothing from the figures."""
    if name == "lvis_mask_metrics":
        pytest.importorskip("lvis")
    one = batch(np.random.default_rng(4), 1, several=0, difficult=0)
    truth = np.array([[10, 10, 50, 60], [60, 60, 100, 110]], np.float32)
    one["num_groundtruth_boxes"][:] = one["num_detections"][:] = 2
    for kind in ("groundtruth", "detection"):
        one[f"{kind}_boxes"][0, :2] = truth
        one[f"{kind}_classes"][0, :2] = 2
    drawn = np.array([_ellipse(box) for box in truth])
    one["detection_masks"][0, :2] = drawn
    one["groundtruth_instance_masks"][0, :2] = drawn * np.array([1, 0], np.uint8)[:, None, None]
    one["detection_scores"][0, :2] = [0.5, 0.9]
    assert figures(door, [one], name)[figure] == pytest.approx(1.0)


def test_keypoints_are_measured_as_pycocotools_does(door):
    """Of the class that is named, with its sigmas; without a name, of every class with the usual ones."""
    from app.evaluation.metrics_sets import KEYPOINT_FIGURES

    batches = scene(5)
    sigmas = "".join(f'keypoint_label_to_sigmas {{ key: "{n}" value: {(n + 1) / 40} }} ' for n in range(KEYPOINTS))
    named = f'eval_config {{ parameterized_metric {{ coco_keypoint_metrics {{ class_label: "dog" {sigmas} }} }} }}'
    found = figures(door, batches, "coco_keypoint_metrics", text=named)
    wanted = coco_figures(batches, "keypoints", [2], sigmas=[1 / 40, 2 / 40, 3 / 40])
    assert 0.1 < wanted[0] < 0.95
    names = [f"Keypoints_{name} ByCategory/dog" for name in KEYPOINT_FIGURES]
    assert list(found) == names
    np.testing.assert_allclose([found[name] for name in names], wanted, atol=1e-6)

    found = figures(door, batches, "coco_keypoint_metrics")
    wanted = coco_figures(batches, "keypoints", [3], sigmas=[0.05] * KEYPOINTS)
    assert found["Keypoints_Precision/mAP ByCategory/Künstler"] == pytest.approx(wanted[0], abs=1e-6)
    assert len(found) == len(CLASSES) * len(KEYPOINT_FIGURES)


@pytest.mark.parametrize("name", ["pascal_voc_instance_segmentation_metrics", "oid_challenge_segmentation_metrics"])
def test_masks_by_pascals_rule(door, name):
    """Masks that fill their boxes give the figures of the boxes."""
    batches = scene(6, several=0 if "oid" in name else 0.15)
    for each in batches:
        for kind in ("groundtruth_instance", "detection"):
            boxes = each[f"{kind.partition('_')[0]}_boxes"].astype(int)
            each[f"{kind}_masks"][:] = 0
            for at, number in np.ndindex(boxes.shape[:2]):
                top, left, bottom, right = boxes[at, number]
                each[f"{kind}_masks"][at, number, top:bottom, left:right] = 1
    found = figures(door, batches, name)
    _, mean, _ = voc_precision.measure(scored(batches, groups="oid" in name), list(CLASSES))
    assert next(value for key, value in found.items() if "/mAP@" in key) == pytest.approx(mean, abs=1e-6)


def test_lvis_without_lists_of_its_own_is_cocos_ap_of_masks(door):
    """Every class that is not on an image is then known not to be there, and detections of it are false."""
    pytest.importorskip("lvis")
    batches = scene(7, several=0)
    found = figures(door, batches, "lvis_mask_metrics")
    wanted = coco_figures(batches, "segm", list(CLASSES))
    assert found["DetectionMasks_AP"] == pytest.approx(wanted[0], abs=1e-6)
    assert found["DetectionMasks_AP50"] == pytest.approx(wanted[1], abs=1e-6)


def test_the_names_are_known_before_training(door):
    """What `best_metric` is checked against is what the evaluators give, for every metrics set."""
    from app.evaluation import metrics_sets

    pytest.importorskip("lvis")
    batches = scene(8, 2)
    for name in metrics_sets.SETS.keys() - {metrics_sets.BOXES}:
        made = config(f'eval_config {{ metrics_set: "{name}" recall_lower_bound: 0.1 }}')
        found = figures(door, batches, name, text=f'eval_config {{ metrics_set: "{name}" recall_lower_bound: 0.1 }}')
        assert {*found, "Train/total_loss"} == set(metrics_sets.figure_names(made, CLASSES.values())), name


@pytest.mark.parametrize("what", ["no groundtruth", "crowds"])
def test_nothing_to_measure_is_no_figure(door, what):
    """Every figure of every set is -1 or NaN then, and none is taken for a value."""
    from app.evaluation import metrics_sets
    from app.run.evaluations import measured

    pytest.importorskip("lvis")
    batches = scene(9, 2)
    for each in batches:
        if what == "crowds":
            each["groundtruth_is_crowd"][:] = True
        else:
            each["num_groundtruth_boxes"][:] = 0
    # A group that nothing lies on is a miss by the rule of the challenge.
    counts_groups = {"oid_challenge_detection_metrics"} if what == "crowds" else set()
    for name in metrics_sets.SETS.keys() - {metrics_sets.BOXES} - counts_groups:
        found = figures(door, batches, name)
        assert found and {measured(value) for value in found.values()} == {None}, name


def test_a_model_that_finds_nothing_has_figures_of_zero(door):
    """It is not as if there was nothing to find."""
    from app.evaluation import metrics_sets

    pytest.importorskip("lvis")
    batches = scene(10, 2, several=0)
    for each in batches:
        each["num_detections"][:] = 0
    for name in metrics_sets.SETS.keys() - {metrics_sets.BOXES}:
        found = figures(door, batches, name)
        assert {value for value in found.values() if value != -1 and not math.isnan(value)} == {0.0}, name
