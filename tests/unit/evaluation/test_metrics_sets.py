"""What a pipeline.config asks to be measured, checked before training."""

import pytest
from refusals import refused

from app.errors import SettingsError
from app.evaluation import metrics_sets
from app.protos import pipeline_config

CLASSES = ["cat", "dog"]
MASKS = "faster_rcnn { second_stage_box_predictor { mask_rcnn_box_predictor { predict_instance_masks: true } } }"
KEYPOINTS = 'center_net { keypoint_estimation_task { keypoint_class_name: "dog" } }'


def config(evaluation: str = "", *, model: str = "ssd { }", reader: str = ""):
    text = f"model {{ {model} }} eval_input_reader {{ {reader} }} eval_config {{ {evaluation} }}"
    return pipeline_config.parse_pipeline(text, where="test")


def named(*names: str) -> str:
    return " ".join(f'metrics_set: "{name}"' for name in names)


def check(made, *, masks=True, keypoints=True):
    metrics_sets.check_sets(made, classes=CLASSES, masks=masks, keypoints=keypoints)


@pytest.mark.parametrize("name", ["pascal_voc_detection_metric", "coco_panoptic_metrics", ""])
def test_an_unknown_set_is_refused(name):
    """So is one that needs what records do not have."""
    with refused(SettingsError, where="metrics_set", flag="--config_override", about=repr(name)) as caught:
        check(config(named("coco_detection_metrics", name)))
    if name.startswith("pascal"):
        assert "pascal_voc_detection_metrics" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "model", "reader"),
    [
        ("coco_mask_metrics", MASKS, "load_instance_masks: true"),
        ("lvis_mask_metrics", MASKS, "load_instance_masks: true"),
        ("pascal_voc_instance_segmentation_metrics", MASKS, "load_instance_masks: true"),
        ("oid_challenge_segmentation_metrics", MASKS, "load_instance_masks: true"),
        ("coco_keypoint_metrics", KEYPOINTS, "num_keypoints: 3"),
    ],
)
def test_what_is_measured_must_be_there(name, model, reader):
    """Masks and keypoints: in the records, loaded by the reader, found by the model."""
    pytest.importorskip("lvis")
    check(config(named(name), model=model, reader=reader))
    for made, present in (
        (config(named(name), model=model, reader=reader), False),
        (config(named(name), model="ssd { }", reader=reader), True),
        (config(named(name), model=model), True),
    ):
        with refused(SettingsError, where="metrics_set", about=name):
            check(made, masks=present, keypoints=present)


def test_a_set_without_its_package_is_refused(monkeypatch):
    """With what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refused(SettingsError, about="lvis", flag="pip install lvis"):
        check(config(named("lvis_mask_metrics"), model=MASKS, reader="load_instance_masks: true"))


def test_two_sets_whose_figures_have_one_name_are_refused():
    """One would hide the other."""
    pytest.importorskip("lvis")
    made = config(named("lvis_mask_metrics", "coco_mask_metrics"), model=MASKS, reader="load_instance_masks: true")
    with refused(SettingsError, where="metrics_set", about="coco_mask_metrics"):
        check(made)


def test_keypoints_of_a_class_that_is_not_there_are_refused():
    """Upstream passes over it in silence, and nothing is measured."""
    text = 'parameterized_metric { coco_keypoint_metrics { class_label: "dgo" } }'
    with refused(SettingsError, where="parameterized_metric", about="'dgo'") as caught:
        check(config(text, model=KEYPOINTS, reader="num_keypoints: 3"))
    assert "dog" in caught.value.remedy


@pytest.mark.parametrize(
    ("sets", "metric"),
    [
        ([], "DetectionBoxes_Precision/mAP (small)"),
        ([], "DetectionBoxes_PerformanceByCategory/mAP/dog"),
        ([], "Loss/total_loss"),
        ([], "Train/total_loss"),
        (["pascal_voc_detection_metrics"], "PascalBoxes_Precision/mAP@0.5IOU"),
        (["pascal_voc_detection_metrics"], "PascalBoxes_PerformanceByCategory/AP@0.5IOU/cat"),
        (["oid_V2_detection_metrics"], "OpenImagesV2_Precision/mAP@0.5IOU"),
        (["coco_mask_metrics"], "DetectionMasks_Recall/AR@100 (large)"),
        (["lvis_mask_metrics"], "DetectionMasks_APr"),
        (["coco_keypoint_metrics"], "Keypoints_Precision/mAP ByCategory/dog"),
    ],
)
def test_a_figure_of_any_chosen_set_can_choose_the_best(sets, metric):
    """Of COCO's boxes without being asked for; losses are known to the model alone."""
    metrics_sets.check_best_metric(metric, config(named("coco_detection_metrics", *sets)), CLASSES)


@pytest.mark.parametrize(
    ("metric", "flag", "remedy"),
    [
        ("DetectionBoxes_Precision/map", "--best_metric", "DetectionBoxes_Precision/mAP?"),
        ("DetectionBoxes_PerformanceByCategory/mAP/dgo", "--best_metric", "/mAP/dog"),
        ("mAP@.75", "--best_metric", ""),
        ("PascalBoxes_Precision/mAP@0.5IOU", "--config_override", '"pascal_voc_detection_metrics"'),
        ("DetectionMasks_Precision/mAP", "--config_override", '"coco_mask_metrics"'),
    ],
)
def test_a_figure_that_no_evaluation_will_have_is_refused(metric, flag, remedy):
    """With the figure that was likely meant, or the metrics set that it belongs to."""
    with refused(SettingsError, flag=flag, about=metric) as caught:
        metrics_sets.check_best_metric(metric, config(named("coco_detection_metrics")), CLASSES)
    assert remedy in caught.value.remedy


def test_the_bounds_of_recall_are_in_the_name():
    """As upstream writes them."""
    made = config(named("precision_at_recall_detection_metrics") + " recall_lower_bound: 0.25")
    assert "PrecisionAtRecallBoxes_Precision/mAP@0.5IOU@[0.2,1.0]Recall" in metrics_sets.figure_names(made, [])
