"""What else a pipeline gets: data, evaluation, the starting weights, overrides."""

import pytest
from refusals import refused

from app.errors import SettingsError

KEEP_ASPECT = """model { %s { image_resizer { keep_aspect_ratio_resizer {
  min_dimension: 600 max_dimension: 1024 pad_to_max_dimension: false } } } }"""


def test_readers(make):
    """Readers get globs and label map as given; evaluation sees each image once, the last ones too."""
    config = make().config
    (reader,) = config.eval_input_reader
    assert list(config.train_input_reader.tf_record_input_reader.input_path) == ["/models/run/records/train-*"]
    assert list(reader.tf_record_input_reader.input_path) == ["/models/run/records/eval-*"]
    assert config.train_input_reader.label_map_path == reader.label_map_path == "/models/run/label_map.pbtxt"
    assert config.train_input_reader.shuffle and not reader.shuffle
    assert reader.num_epochs == 1 and not reader.drop_remainder


def test_zoos_paths_are_replaced(make, hands):
    """No placeholder of the zoo is left, with or without a checkpoint."""
    assert "PATH_TO_BE_CONFIGURED" not in make(fine_tune_checkpoint=str(hands)).text
    assert "PATH_TO_BE_CONFIGURED" not in make(model=str(hands)).text


@pytest.mark.parametrize(("images", "buffer"), [(0, 2048), (292, 292), (100_000, 2048)])
def test_shuffle_buffer(make, images, buffer):
    """The shuffle buffer holds the set at most, and upstream's 2048 at most."""
    assert make(num_train_images=images).config.train_input_reader.shuffle_buffer_size == buffer


def test_evaluation_settings(make):
    """The evaluation settings land under upstream's names."""
    config = make(eval_batch_size=4, eval_image_outputs=9, sample_1_of_n_eval_examples=3).config
    assert (config.eval_config.batch_size, config.eval_config.num_visualizations) == (4, 9)
    assert config.eval_input_reader[0].sample_1_of_n_examples == 3
    assert list(config.eval_config.metrics_set) == ["coco_detection_metrics"]


def test_metrics(make, write_model):
    """COCO metrics join a model's own; per-category metrics, which stop upstream, go off with a note."""
    model = write_model(
        "tiny",
        'eval_config { include_metrics_per_category: true metrics_set: "pascal_voc_detection_metrics" }',
    )
    pipeline = make(model=model)
    assert "coco_detection_metrics" in pipeline.config.eval_config.metrics_set
    assert not pipeline.config.eval_config.include_metrics_per_category
    assert any("include_metrics_per_category is off" in note for note in pipeline.notes)


def test_one_eval_reader(make, write_model):
    """Of several evaluation sets one is left, pointed at ours: upstream would evaluate each."""
    model = write_model("tiny", 'eval_input_reader { name: "a" } eval_input_reader { name: "b" }')
    (reader,) = make(model=model).config.eval_input_reader
    assert list(reader.tf_record_input_reader.input_path) == ["/models/run/records/eval-*"]


def test_padding_for_batches(make, write_model):
    """Images of different shapes are padded when a batch has several, and only then."""
    model = write_model("faster_rcnn_resnet50", KEEP_ASPECT % "faster_rcnn")
    padded = make(model=model, batch_size=2)
    assert padded.config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer.pad_to_max_dimension
    assert padded.config.eval_config.batch_size == 8
    assert any("padded to 1024x1024" in note for note in padded.notes)
    single = make(model=model, batch_size=1)
    assert not single.config.model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer.pad_to_max_dimension
    assert single.config.eval_config.batch_size == 1
    assert any("eval_batch_size is 1" in note for note in single.notes)


def test_images_that_make_no_batch(make, write_model):
    """A resizer that can't pad is refused for batches of several, with the ways out."""
    model = write_model("tiny", "model { ssd { image_resizer { identity_resizer { } } } }")
    with refused(SettingsError, where="model.image_resizer", flag="--batch_size"):
        make(model=model)
    assert make(model=model, batch_size=1).config.eval_config.batch_size == 1


def test_fine_tune(make, hands):
    """The checkpoint's prefix, type `detection` and version V2 are written over the zoo's own."""
    pipeline = make(fine_tune_checkpoint=str(hands))
    train = pipeline.config.train_config
    assert train.fine_tune_checkpoint == pipeline.fine_tune_checkpoint == f"{hands}/checkpoint/ckpt-0"
    assert train.fine_tune_checkpoint_type == "detection"
    assert "fine_tune_checkpoint_version: V2" in pipeline.text


def test_fine_tune_type(make, hands):
    """A given type is written; one that the meta-architecture lacks is refused with those it has."""
    full = make(fine_tune_checkpoint=str(hands), fine_tune_checkpoint_type="full")
    assert full.config.train_config.fine_tune_checkpoint_type == "full"
    with refused(SettingsError, flag="--fine_tune_checkpoint_type", about="'fine_tune'"):
        make(fine_tune_checkpoint=str(hands), fine_tune_checkpoint_type="fine_tune")
    with refused(SettingsError, flag="--fine_tune_checkpoint", about="checkpoint"):
        make(fine_tune_checkpoint_type="full")


def test_fine_tune_of_centernet(make, hands):
    """CenterNet's old name for the type is translated, and said."""
    pipeline = make(
        model="centernet_resnet50_fpn", fine_tune_checkpoint=str(hands), fine_tune_checkpoint_type="fine_tune"
    )
    assert pipeline.config.train_config.fine_tune_checkpoint_type == "detection"
    assert any("fine_tune written as detection" in note for note in pipeline.notes)


def test_from_scratch_is_said(make, hands):
    """A zoo config without its checkpoint trains from random weights, and says so."""
    pipeline = make(model=str(hands))
    assert "fine_tune" not in pipeline.text
    assert "no fine_tune_checkpoint: all weights start at random" in pipeline.notes


def test_checkpoint_of_the_config_is_kept(make, write_model, hands):
    """A real path in a user's own pipeline.config stays."""
    model = write_model("tiny", f'train_config {{ fine_tune_checkpoint: "{hands}/checkpoint/ckpt-0" }}')
    assert make(model=model).fine_tune_checkpoint == f"{hands}/checkpoint/ckpt-0"


def test_bfloat16_is_for_tpus(make, write_model):
    """The zoo's use_bfloat16 is taken off: on a GPU upstream would cast the images and not the model."""
    pipeline = make(model=write_model("tiny", "train_config { use_bfloat16: true }"))
    assert not pipeline.config.train_config.use_bfloat16
    assert any("use_bfloat16" in note for note in pipeline.notes)


@pytest.mark.parametrize("model", ["tiny", "faster_rcnn_resnet50", "centernet_resnet50_fpn"])
def test_num_classes(make, model):
    """num_classes is set in each meta-architecture."""
    config = make(model=model, num_classes=17).config
    assert getattr(config.model, config.model.WhichOneof("model")).num_classes == 17


def test_override_is_last(make):
    """config_override wins over every setting, and batch size and steps are those of the result."""
    override = "train_config { batch_size: 3 num_steps: 77 data_augmentation_options { random_vertical_flip { } } }"
    pipeline = make(batch_size=16, config_override=override)
    assert (pipeline.batch_size, pipeline.num_train_steps) == (3, 77)
    assert "random_vertical_flip" in pipeline.text and "random_horizontal_flip" in pipeline.text


def test_override_that_does_not_parse(make):
    """A wrong override is named as the setting it is."""
    with refused(SettingsError, where="config_override:1", about="parse") as caught:
        make(config_override="train_config { batch: 3 }")
    assert caught.value.exit_code == 3


def test_origin_is_not_changed(make, hands):
    """Building does not touch the file that it starts from, and the same request gives the same text."""
    before = (hands / "pipeline.config").read_bytes()
    assert make(fine_tune_checkpoint=str(hands)).text == make(fine_tune_checkpoint=str(hands)).text
    assert (hands / "pipeline.config").read_bytes() == before
