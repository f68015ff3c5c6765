"""The trial before training, on what upstream really does with a config."""

import pytest
from command import copy_of, detbox, place
from google.protobuf import text_format

from app.run.directory import Run

pytestmark = pytest.mark.odapi
SMALL = ["--sample_images=16", "--batch_size=2", "--num_train_steps=30"]
ON = {"DETBOX_TRIAL_SECS": ""}

WORKS = {
    "random_horizontal_flip", "random_pixel_value_scale", "random_image_scale", "random_rgb_to_gray",
    "random_adjust_brightness", "random_adjust_contrast", "random_adjust_hue", "random_adjust_saturation",
    "random_distort_color", "random_jitter_boxes", "random_crop_image", "random_pad_image", "random_crop_pad_image",
    "random_crop_to_aspect_ratio", "random_black_patches", "ssd_random_crop", "ssd_random_crop_pad",
    "ssd_random_crop_fixed_aspect_ratio", "ssd_random_crop_pad_fixed_aspect_ratio", "random_vertical_flip",
    "random_rotation90", "random_absolute_pad_image", "random_self_concat_image", "drop_label_probabilistically",
    "remap_labels", "random_jpeg_quality", "random_downscale_to_target_pixels", "random_patch_gaussian",
    "random_square_crop_by_scale", "random_scale_crop_and_pad_to_square", "adjust_gamma",
}  # fmt: skip
REFUSED = {
    "normalize_image": "original_minval",
    "random_resize_method": "output dimensions",
    "resize_image": "output dimensions",
    "scale_boxes_to_pixel_coordinates": "coordinates up to",
    "subtract_channel_mean": "NoneType",
    "rgb_to_gray": "1 channel",
    "convert_class_logits_to_softmax": "None values",
    "autoaugment_image": "contrib_training",
}
"""Steps that no config can be trained with as they are by default, and what is said of it."""


@pytest.fixture(scope="module")
def read(prepared: Run):
    """`read({step: parameters})`: training batches of the sample with these steps."""
    from app.odapi import runtime

    runtime.start(use_gpu=False, seed=0)
    from object_detection.builders import model_builder

    from app.odapi import one_batch, training_batch
    from app.protos import pipeline_config

    config = pipeline_config.read_pipeline(prepared.pipeline_config)
    one_batch.shorten(config)
    model = model_builder.build(config.model, is_training=True)

    def run(steps: dict[str, str]):
        config.train_config.ClearField("data_augmentation_options")
        for name, parameters in steps.items():
            message = getattr(config.train_config.data_augmentation_options.add(), name)
            message.SetInParent()
            text_format.Parse(parameters, message)
        return training_batch.read_training_batch(config, model, batches=4)

    return run


def test_every_step_of_the_preprocessor_is_known():
    """A step that is added upstream is to be tried."""
    from object_detection.protos import preprocessor_pb2

    steps = preprocessor_pb2.PreprocessingStep.DESCRIPTOR.oneofs_by_name["preprocessing_step"].fields
    assert {step.name for step in steps} == WORKS | set(REFUSED)


@pytest.mark.parametrize("step", sorted(WORKS))
def test_step_works(read, step):
    """With its defaults it gives images and boxes that can be learnt from."""
    features, labels = read({step: ""})
    assert features["image"].shape[0] == labels["groundtruth_boxes"].shape[0] == 2


@pytest.mark.parametrize("step", sorted(REFUSED))
def test_step_is_refused_by_its_name(read, step):
    """The one of three steps that is to blame is named, with its place."""
    from app.odapi.training_batch import BatchError

    with pytest.raises(BatchError, match=REFUSED[step]) as caught:
        read({"random_horizontal_flip": "", step: "", "random_adjust_hue": ""})
    assert caught.value.where == f"train_config.data_augmentation_options[1] {step}"


def test_records_that_cant_be_read_are_told_from_the_configs_faults(read, prepared, tmp_path):
    """A damaged record names no field."""
    from app.odapi import training_batch
    from app.protos import pipeline_config

    copy = copy_of(prepared, tmp_path / "damaged")
    for path in copy.records.glob("train*"):
        path.write_bytes(path.read_bytes()[:-9] + b"damaged!!")
    config = pipeline_config.read_pipeline(copy.pipeline_config)
    with pytest.raises(training_batch.BatchError) as caught:
        training_batch.read_training_batch(config, None, batches=100)
    assert caught.value.where == ""


def prepare(models, *flags):
    """`prepare` of a small sample with its trial."""
    return detbox("prepare", f"--models_dir={models}", "--run=r", *SMALL, *flags, **ON)


def test_a_config_that_trains_passes_and_is_not_tried_again(tmp_path):
    """The terminal stays quiet; the same command again starts no trial."""
    first = prepare(tmp_path)
    assert first.returncode == 0, first.stderr
    assert "trial | passed" in first.stderr
    strange = [line for line in first.stderr.splitlines() if not line.startswith(("prepare:", "pipeline |", "trial |"))]
    assert strange == []
    again = prepare(tmp_path)
    assert again.returncode == 0 and "trial |" not in again.stderr


@pytest.mark.parametrize(
    ("override", "where"),
    [
        ("train_config { data_augmentation_options { autoaugment_image { } } }", "autoaugment_image"),
        ('model { ssd { feature_extractor { type: "ssd_no_such_keras" } } }', "model.ssd.feature_extractor.type"),
        ('eval_config { metrics_set: "no_such_metrics" }', "eval_config.metrics_set"),
    ],
)
def test_what_upstream_stops_at_is_the_configs_fault(tmp_path, override, where):
    """Exit code 3 before training, in one line with the field; no pipeline.config is left."""
    result = prepare(tmp_path, f"--config_override={override}")
    assert result.returncode == 3, result.stderr
    line = result.stderr.splitlines()[-1]
    assert line.startswith("detbox: error: ") and where in line.split(": ")[2] and "internal" not in line
    run = Run(tmp_path / "r")
    assert not run.pipeline_config.exists() and run.log("trial").stat().st_size


def test_training_tries_a_config_that_was_changed_since(prepared, tmp_path):
    """A pipeline.config edited by hand is tried by the trainer."""
    copy = copy_of(prepared, tmp_path / "edited")
    text = copy.pipeline_config.read_text("utf-8")
    copy.pipeline_config.write_text(text.replace("random_horizontal_flip", "subtract_channel_mean"), "utf-8")
    result = detbox("train", *place(copy), "--trial_secs=300")
    assert result.returncode == 3, result.stderr
    assert "subtract_channel_mean" in result.stderr.splitlines()[-1]
