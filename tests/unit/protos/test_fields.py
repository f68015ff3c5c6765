"""Fields of a message by their paths."""

from app.protos import fields, pipeline_config

TEXT = """
model { center_net {
  feature_extractor { type: "resnet_v1_50_fpn" }
  keypoint_estimation_task { task_name: "pose" keypoint_label_to_std { key: "nose" value: 0.5 } }
} }
train_config { data_augmentation_options { random_horizontal_flip { keypoint_flip_permutation: [1, 0] } } }
"""


def config():
    return pipeline_config.parse_pipeline(TEXT, where="test")


def test_walk_reaches_lists_and_maps():
    """Items of lists and maps come with their place; a field that is not set with its default."""
    found = {field.path: field.value for field in fields.walk(config())}
    assert found["model.center_net.keypoint_estimation_task[0].keypoint_label_to_std[nose]"] == 0.5
    flip = "train_config.data_augmentation_options[0].random_horizontal_flip"
    assert found[f"{flip}.keypoint_flip_permutation[1]"] == 0
    assert found[f"{flip}.probability"] == 0.5


def test_the_field_that_an_error_speaks_of():
    """By its value first, else by its name; an error of neither has none."""
    assert fields.find_named(config(), "'resnet_v1_50_fpn' is unknown").endswith("feature_extractor.type")
    assert fields.find_named(config(), "keypoint_flip_permutation is too short").endswith("permutation[0]")
    assert fields.find_named(config(), "something is wrong") == ""
