"""TF1's configs brought to TF2."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tf1_configs import FASTER_RCNN, SSD

from app.errors import SettingsError
from app.pipeline import preflight
from app.pipeline.build import Request, build
from app.pipeline.migration import convert, tf2_counterpart
from app.pipeline.origin import preset_text, presets
from app.pipeline.zoo import catalogue
from app.protos import pipeline_config


def made(text, *words):
    return convert.convert(text, words, where="old.config")


def whys(migration):
    return {change.what: change for change in migration.changes}


def parts(text):
    """A config's lines, without order and nesting."""
    return set(pipeline_config.print_pipeline(pipeline_config.parse_pipeline(text, where="old.config")).splitlines())


def test_ssd():
    """The SSD's model becomes a Keras one; each field that went has its reason; nothing else is touched."""
    migration = made(SSD)
    assert migration.extractor == ("ssd_mobilenet_v1", "ssd_mobilenet_v1_keras")
    changes = whys(migration)
    gone = {what.rsplit(".", 1)[-1] for what, change in changes.items() if not change.after}
    assert gone == {
        "inplace_batchnorm_update", "fine_tune_checkpoint", "from_detection_checkpoint", "sync_replicas",
        "replicas_to_aggregate", "startup_delay_steps", "batch_queue_capacity", "num_batch_queue_threads",
        "prefetch_queue_capacity", "load_all_detection_checkpoint_vars", "graph_rewriter", "queue_capacity",
        "min_after_dequeue", "num_examples", "max_evals",
    }  # fmt: skip
    assert all(change.why for change in changes.values())
    assert not any(name in migration.text for name in gone)
    added = set(migration.text.splitlines()) - parts(SSD)
    assert {line.strip() for line in added} == {
        'type: "ssd_mobilenet_v1_keras"', "decay: 0.0", "use_moving_average: false",
        'metrics_set: "pascal_voc_detection_metrics"',
    }  # fmt: skip


def test_rms_prop_decay():
    """TF1's decay of 0.9 would be Keras' decay of the learning rate: 0, and another value than 0.9 is said."""
    optimizer = "train_config.optimizer.rms_prop_optimizer.decay"
    assert "can't be set" not in whys(made(SSD))[optimizer].why
    other = made(SSD.replace("decay: 0.9\n", "decay: 0.95\n"))
    assert other.config.train_config.optimizer.rms_prop_optimizer.decay == 0.0
    assert "can't be set" in whys(other)[optimizer].why


def test_faster_rcnn():
    """The atrous ResNet gets TF2's stride with its anchors; the schedule's step 0 becomes the initial rate."""
    migration = made(FASTER_RCNN)
    body = migration.config.model.faster_rcnn
    assert body.feature_extractor.type == "faster_rcnn_resnet101_keras"
    assert (body.feature_extractor.first_stage_features_stride, body.first_stage_atrous_rate) == (16, 1)
    grid = body.first_stage_anchor_generator.grid_anchor_generator
    assert (grid.height_stride, grid.width_stride) == (16, 16)
    rate = migration.config.train_config.optimizer.momentum_optimizer.learning_rate.manual_step_learning_rate
    assert round(rate.initial_learning_rate, 7) == 0.0003 and [row.step for row in rate.schedule] == [900000, 1200000]
    assert migration.settings == {"fine_tune_checkpoint": "faster_rcnn_resnet101_v1_1024x1024_coco17_tpu-8"}


def test_stride_of_the_usual_resnet():
    """One that has TF2's stride keeps its anchors."""
    usual = FASTER_RCNN.replace("stride: 8", "stride: 16").replace("atrous_rate: 2", "atrous_rate: 1")
    assert not [what for what in whys(made(usual)) if "stride" in what or "atrous" in what]


@pytest.mark.parametrize("text", [SSD, FASTER_RCNN], ids=["ssd", "faster_rcnn"])
def test_result_passes_preflight(text, tmp_path):
    """`prepare` builds a pipeline of it in which preflight finds no error; TF1's own is refused."""
    (tmp_path / "train-0").touch()
    found = {}
    for name, content in {"old": text, "new": made(text).text}.items():
        path = tmp_path / f"{name}.config"
        path.write_text(content)
        request = Request(
            model=str(path),
            fine_tune_checkpoint="none",
            num_classes=2,
            label_map_path=str(tmp_path / "label_map.pbtxt"),
            train_records=str(tmp_path / "train-*"),
            eval_records=str(tmp_path / "train-*"),
            num_train_steps=1000,
        )
        findings = preflight.check(build(request).config, label_map={1: "a", 2: "b"})
        found[name] = [finding.what for finding in findings if finding.severity == "error"]
    assert found["new"] == [] and any("is TF1's" in what for what in found["old"])


@pytest.mark.parametrize("text", [SSD, FASTER_RCNN])
def test_twice_is_once(text):
    """What is TF2's already is left as it is."""
    first = made(text)
    second = made(first.text)
    assert (second.text, second.changes, second.diff) == (first.text, [], "")


@pytest.mark.parametrize("preset", presets())
def test_presets_are_tf2s_already(preset):
    """Nothing of detbox's own presets is changed, comments included."""
    text = f"# by hand\n{preset_text(preset)}"
    migration = made(text)
    assert (migration.text, migration.changes, migration.left, migration.settings) == (text, [], [], {})


@pytest.mark.parametrize("extractor", [*tf2_counterpart.COUNTERPARTS.values(), "ssd_efficientnet-b0_bifpn_keras"])
def test_tf2s_is_left_alone(extractor):
    """A Keras extractor makes a config TF2's: placeholders, V2 or not, and fields that TF2 ignores stay in it."""
    text = SSD.replace("ssd_mobilenet_v1", extractor)
    assert "inplace_batchnorm_update" in text and "sync_replicas" in text
    for checkpoint in ("PATH_TO_BE_CONFIGURED/model.ckpt", "PATH_TO_BE_CONFIGURED/mobilenet_v2.ckpt-1"):
        given = text.replace("PATH_TO_BE_CONFIGURED/model.ckpt", checkpoint)
        for config in (given, given.replace("from_detection_checkpoint: true", "fine_tune_checkpoint_version: V2")):
            migration = made(config, "save_checkpoints_steps=1000")
            assert (migration.text, migration.changes, migration.left, migration.diff) == (config, [], [], "")
            assert migration.settings == {"checkpoint_every_n": "1000"}


def test_unknown_field_of_tf2s():
    """A field that the protos have lost goes from a TF2 config too, for it would not be read; nothing else does."""
    text = SSD.replace("'ssd_mobilenet_v1'", "'ssd_mobilenet_v2_keras' batch_norm_trainable: true")
    migration = made(text)
    assert [change.what.split(": ")[1] for change in migration.changes] == ["batch_norm_trainable"]
    assert parts(migration.text) == parts(text.replace("batch_norm_trainable: true", ""))


def test_placeholder_is_no_checkpoint():
    """What nobody has filled in is not called a TF1 checkpoint."""
    change = whys(made(SSD))["train_config.fine_tune_checkpoint"]
    assert "placeholder" in change.why and "TF1 checkpoint" not in change.why
    given = whys(made(SSD.replace("PATH_TO_BE_CONFIGURED/model.ckpt", "/a/model.ckpt")))
    assert "TF1 checkpoint" in given["train_config.fine_tune_checkpoint"].why


def test_checkpoint_said_to_be_v2_stays():
    """Whatever its name, one of version V2 is not dropped."""
    version = "from_detection_checkpoint: true fine_tune_checkpoint_version: V2"
    text = SSD.replace("PATH_TO_BE_CONFIGURED/model.ckpt", "/a/mobilenet_v2.ckpt-1").replace(
        "from_detection_checkpoint: true", version
    )
    assert made(text).config.train_config.fine_tune_checkpoint == "/a/mobilenet_v2.ckpt-1"


def test_counterparts_are_named_as_the_models_are():
    """No extractor has both a counterpart and none; the nearest of those without one exist."""
    assert not set(tf2_counterpart.COUNTERPARTS) & set(tf2_counterpart.NEAREST)
    assert all(near in presets() or catalogue.find(near) for near in tf2_counterpart.NEAREST.values())


@pytest.mark.parametrize("extractor", sorted(tf2_counterpart.NEAREST))
def test_no_counterpart(extractor):
    """A model that TF2 lacks is refused, with the nearest that it has."""
    with pytest.raises(
        SettingsError,
        match=rf"old.config: .*{extractor} has no TF2 equivalent.*--model={tf2_counterpart.NEAREST[extractor]}",
    ):
        made(SSD.replace("ssd_mobilenet_v1", extractor))


@pytest.mark.parametrize(("extractor", "hint"), [("ssd_mobilnet_v1", "did you mean ssd_mobilenet_v1"), ("x", "those")])
def test_unknown_extractor(extractor, hint):
    """A misspelt one gets the nearest."""
    with pytest.raises(SettingsError, match=hint):
        made(SSD.replace("ssd_mobilenet_v1", extractor))


@pytest.mark.parametrize(
    ("extractor", "resizer", "zoo"),
    [
        ("ssd_mobilenet_v1", 300, ""),
        ("ssd_mobilenet_v2", 300, "ssd_mobilenet_v2_320x320_coco17_tpu-8"),
        ("ssd_mobilenet_v1_fpn", 640, "ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8"),
        ("ssd_mobilenet_v2_fpn", 320, "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8"),
        ("ssd_mobilenet_v2_fpn", 600, "ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8"),
        ("ssd_resnet50_v1_fpn", 640, "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8"),
        ("ssd_resnet152_v1_fpn", 1024, "ssd_resnet152_v1_fpn_1024x1024_coco17_tpu-8"),
    ],
)
def test_weights_to_start_from(extractor, resizer, zoo):
    """A TF1 checkpoint is replaced by the zoo's model of the same backbone and the nearest size, or by advice."""
    text = SSD.replace("ssd_mobilenet_v1", extractor).replace("height: 300 width: 300", f"height: {resizer} width: 9")
    migration = made(text)
    assert migration.settings.get("fine_tune_checkpoint", "") == zoo
    assert any("starts at random" in item for item in migration.left) == (not zoo)


def test_faster_rcnns_of_the_zoo():
    """Inception ResNet has its own, and with masks Mask R-CNN's."""
    text = FASTER_RCNN.replace("resnet101'", "inception_resnet_v2'")
    assert made(text).settings["fine_tune_checkpoint"] == "faster_rcnn_inception_resnet_v2_1024x1024_coco17_tpu-8"
    masks = text.replace("num_classes: 3", "num_classes: 3 number_of_stages: 3")
    assert made(masks).settings["fine_tune_checkpoint"] == "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8"


def test_tf2_checkpoint_stays():
    """One that is named as TF2's are is kept, with its type and version spelt out."""
    train = made(SSD.replace("PATH_TO_BE_CONFIGURED/model.ckpt", "/zoo/x/checkpoint/ckpt-0")).config.train_config
    assert train.fine_tune_checkpoint == "/zoo/x/checkpoint/ckpt-0"
    assert (train.fine_tune_checkpoint_type, train.fine_tune_checkpoint_version) == ("detection", 2)
    backbone = SSD.replace("PATH_TO_BE_CONFIGURED/model.ckpt", "ckpt-7").replace(
        "checkpoint: true", "checkpoint: false"
    )
    assert made(backbone).config.train_config.fine_tune_checkpoint_type == "classification"


def test_no_checkpoint():
    """A config that started at random does so still, and nobody is told off."""
    text = SSD.replace('fine_tune_checkpoint: "PATH_TO_BE_CONFIGURED/model.ckpt"', "")
    migration = made(text)
    assert (migration.settings, migration.left) == ({}, [])
    assert "train_config.from_detection_checkpoint" in whys(migration)


def test_masks_are_still_evaluated():
    """TF1's eval_instance_masks becomes the metrics set."""
    migration = made(FASTER_RCNN.replace("num_examples: 8000", "eval_instance_masks: true"))
    assert list(migration.config.eval_config.metrics_set) == ["pascal_voc_detection_metrics", "coco_mask_metrics"]


def test_frozen_layers_are_left_to_the_user():
    """TF2's loop trains everything: a list of frozen variables is dropped with a warning."""
    migration = made(SSD.replace("num_steps: 200000", 'num_steps: 9 freeze_variables: "FeatureExtractor/.*"'))
    assert any("FeatureExtractor/.*" in item for item in migration.left)


def test_no_end():
    """A config without num_steps needs one, unless the run settings have it."""
    endless = SSD.replace("num_steps: 200000", "")
    assert any("--num_train_steps" in item for item in made(endless).left)
    assert not any("--num_train_steps" in item for item in made(endless, "num_train_steps=5").left)


def test_ancient_field():
    """A field that the protos have lost is dropped by name, with its line."""
    text = SSD.replace("type: 'ssd_mobilenet_v1'", "type: 'ssd_mobilenet_v1'\n batch_norm_trainable: true")
    (change,) = [change for change in made(text).changes if "batch_norm_trainable" in change.what]
    assert change.what.startswith("line ") and "freeze_batchnorm" in change.why


def test_no_config():
    """What is no pipeline.config of a detector is refused by name."""
    for text, what in (("", "model is missing"), ("model {", "does not parse"), ("<html>", "does not parse")):
        with pytest.raises(SettingsError, match=f"old.config.*{what}"):
            made(text)


@settings(max_examples=60, deadline=None)
@given(
    text=some.sampled_from([SSD, FASTER_RCNN]),
    start=some.integers(0, 5000),
    length=some.integers(0, 60),
    put=some.sampled_from(
        ["", "{", "}", '"', "'", "#", "x: 1", "y {", "[", "\n", "\0", "é", ": :", "ssd", "-1", "<a: 2>"]
    ),
)
def test_broken_texts(text, start, length, put):
    """Whatever is cut out and put in, the outcome is a config that parses, or an error in one line."""
    try:
        migration = made(text[:start] + put + text[start + length :])
    except SettingsError as error:
        assert "\n" not in str(error) and str(error).startswith("old.config")
    else:
        assert pipeline_config.parse_pipeline(migration.text, where="new.config") == migration.config


def test_averages_that_tf1_evaluated_are_kept():
    """Where eval_config says so the optimizer keeps them; detbox evaluates and exports them."""
    text = SSD.replace("eval_config: {", "eval_config: { use_moving_averages: true", 1)
    assert text != SSD
    migrated = made(text).text
    assert "use_moving_averages: true" in migrated and "use_moving_average: false" not in migrated
