"""What a config asks for that its files, its readers or the boxes do not have."""

import pytest

from app.pipeline import model_checks

MASKS = """model { faster_rcnn { number_of_stages: 3 second_stage_box_predictor { mask_rcnn_box_predictor {
  predict_instance_masks: true } } } }"""
LOADED = "train_input_reader { load_instance_masks: true } eval_input_reader { load_instance_masks: true }"
KEYPOINTS = 'model { center_net { keypoint_estimation_task { task_name: "pose" keypoint_class_name: "a" } } }'
FIVE = "train_input_reader { num_keypoints: 5 } eval_input_reader { num_keypoints: 5 }"


def places(findings):
    """Where the findings are; each is an error with a remedy."""
    found = list(findings)
    assert all(finding.severity == "error" and finding.remedy for finding in found)
    return [finding.where.rpartition(".")[2] for finding in found]


@pytest.mark.parametrize("model", ["tiny", "faster_rcnn_resnet50", "centernet_resnet50_fpn"])
def test_models_of_boxes_have_no_findings(make, model):
    """A preset asks for nothing that a set of boxes does not have."""
    config = make(model=model).config
    assert [*model_checks.check(config), *model_checks.check_boxes(config, masks=False, keypoints=0)] == []


def test_masks_that_are_predicted_must_be_loaded(make):
    """Either reader without them is an error, and so are boxes without them."""
    config = make(model="faster_rcnn_resnet50", config_override=MASKS).config
    assert places(model_checks.check(config)) == ["predict_instance_masks"]
    config = make(model="faster_rcnn_resnet50", config_override=f"{MASKS} {LOADED}").config
    assert places(model_checks.check(config)) == []
    assert places(model_checks.check_boxes(config, masks=False, keypoints=0)) == ["predict_instance_masks"]
    assert places(model_checks.check_boxes(config, masks=True, keypoints=0)) == []


def test_keypoints_that_are_predicted_must_be_there(make):
    """A keypoint task without keypoints in the reader, or in the boxes, or with another number of them."""
    config = make(model="centernet_resnet50_fpn", config_override=KEYPOINTS).config
    assert places(model_checks.check(config)) == ["keypoint_estimation_task[0]"]
    config = make(model="centernet_resnet50_fpn", config_override=f"{KEYPOINTS} {FIVE}").config
    assert places(model_checks.check(config)) == []
    assert places(model_checks.check_boxes(config, masks=False, keypoints=0)) == ["keypoint_estimation_task[0]"]
    assert places(model_checks.check_boxes(config, masks=False, keypoints=17)) == ["num_keypoints"] * 2
    assert places(model_checks.check_boxes(config, masks=False, keypoints=5)) == []


def test_a_path_in_the_model_must_exist(make, tmp_path):
    """The zoo's placeholder is no file."""
    text = 'model { center_net { keypoint_label_map_path: "%s" } }'
    config = make(model="centernet_resnet50_fpn", config_override=text % "PATH_TO_BE_CONFIGURED").config
    assert places(model_checks.check(config)) == ["keypoint_label_map_path"]
    (tmp_path / "map.pbtxt").write_text("")
    config = make(model="centernet_resnet50_fpn", config_override=text % (tmp_path / "map.pbtxt")).config
    assert places(model_checks.check(config)) == []


def test_a_label_map_beside_the_config_is_found(make, tmp_path, write_model):
    """A relative path means the working directory's file, or else one beside the config; services have others."""
    model = write_model("centernet_resnet50_fpn", 'model { center_net { keypoint_label_map_path: "map.pbtxt" } }')
    (tmp_path / "map.pbtxt").write_text("")
    assert f'keypoint_label_map_path: "{tmp_path / "map.pbtxt"}"' in make(model=model).text


def test_proposals_fill_the_second_stage(make):
    """Fewer proposals than the second stage trains on are an error."""
    few = "model { faster_rcnn { first_stage_max_proposals: 32 second_stage_batch_size: 64 } }"
    config = make(model="faster_rcnn_resnet50", config_override=few).config
    assert places(model_checks.check(config)) == ["first_stage_max_proposals"]
