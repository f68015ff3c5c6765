"""Limits on the boxes of an image, held against the fullest one of the set."""

import pytest

from app.pipeline import capacity
from app.pipeline.origin import presets


def limits(config):
    """Every limit by name; those of the same name as a list."""
    found = {}
    for message, name in capacity._limits(config):
        found.setdefault(name, []).append(getattr(message, name))
    return found


@pytest.mark.parametrize("model", presets())
@pytest.mark.parametrize("most", [30, 150, 400])
def test_presets_take_the_fullest_image(make, model, most):
    """All that is lower is raised, each once in the notes; what is high enough stays."""
    before, pipeline = limits(make(model=model).config), make(model=model, max_boxes_per_image=most)
    after = limits(pipeline.config)
    assert after == {name: [max(value, most) for value in values] for name, values in before.items()}
    for name, values in before.items():
        said = [note for note in pipeline.notes if note.startswith(f"{name} raised from {min(values)} to {most}")]
        assert len(said) == (min(values) < most)
    assert any("COCO's figures count the best 100" in note for note in pipeline.notes) == (most > 100)


def test_what_each_model_bounds(make):
    """SSDs and Faster R-CNNs by their suppression, CenterNet by its peaks, proposals besides."""
    shared = {"max_number_of_boxes"}
    suppression = {"max_detections_per_class", "max_total_detections"}
    assert set(limits(make(model="tiny").config)) == shared | suppression
    assert set(limits(make(model="faster_rcnn_resnet50").config)) == shared | suppression | {
        "first_stage_max_proposals"
    }
    assert set(limits(make(model="centernet_resnet50_fpn").config)) == shared | {"max_box_predictions"}


def test_centernet_with_suppression(make, write_model):
    """One that suppresses besides is bounded by that too."""
    changes = "model { center_net { post_processing { batch_non_max_suppression { max_total_detections: 50 } } } }"
    config = make(model=write_model("centernet_resnet50_fpn", changes), max_boxes_per_image=150).config
    suppression = config.model.center_net.post_processing.batch_non_max_suppression
    assert (suppression.max_detections_per_class, suppression.max_total_detections) == (150, 150)


def test_never_lowered(make, write_model):
    """A reader that takes more already keeps its number when the others are raised."""
    model = write_model("tiny", "train_input_reader { max_number_of_boxes: 500 }")
    config = make(model=model, max_boxes_per_image=250).config
    assert config.train_input_reader.max_number_of_boxes == 500
    assert config.eval_input_reader[0].max_number_of_boxes == config.train_config.max_number_of_boxes == 250


def test_override_has_the_last_word(make):
    """Who wants fewer detections says so."""
    override = "model { ssd { post_processing { batch_non_max_suppression { max_total_detections: 80 } } } }"
    suppression = make(max_boxes_per_image=150, config_override=override).config.model.ssd.post_processing
    assert suppression.batch_non_max_suppression.max_total_detections == 80
