"""What was given to `prepare` holds for the run's trainer and evaluator."""

import pytest

from app.environment import as_environment, load
from app.errors import SettingsError
from app.jobs import prepare
from app.protos.pipeline_config import parse_pipeline
from app.run import provenance
from app.run.directory import find_run
from app.run.files import write_json


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Settings as a command line of these flags gives them, for a run of four images."""
    monkeypatch.chdir(tmp_path)

    def load_flags(**flags):
        return load({"models_dir": str(tmp_path / "models"), "run": "r", "sample_images": "4", **flags}, {}, None)

    return load_flags


def config_of(run):
    return parse_pipeline(run.pipeline_config.read_text(), where="pipeline.config")


@pytest.fixture
def run(given):
    """Prepared with a batch size, an augmentation and an evaluation setting of its own."""
    settings = given(batch_size="4", augmentations="rotation90", best_metric="Loss/total_loss", num_train_steps="50")
    prepare.run(settings)
    return find_run(settings.models_dir, "r")


def test_a_flag_of_train_keeps_those_of_prepare(run, given):
    """The learning rate is train's; batch size, augmentation and steps stay prepare's."""
    settings = prepare.settings_of_run(run, given(learning_rate="0.01"))
    config = prepare.changed_pipeline(run, settings).config.train_config
    assert (config.batch_size, config.num_steps) == (4, 50)
    assert [option.WhichOneof("preprocessing_step") for option in config.data_augmentation_options] == [
        option.WhichOneof("preprocessing_step") for option in config_of(run).train_config.data_augmentation_options
    ]
    rate = config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate
    assert rate.learning_rate_base == pytest.approx(0.01)


@pytest.mark.parametrize("flags", [{}, {"batch_size": "4"}, {"log_every_n": "3"}])
def test_what_the_pipeline_was_made_with_does_not_make_it_anew(run, given, flags):
    """Nothing of the model is given to train, or only what prepare had."""
    assert prepare.changed_pipeline(run, prepare.settings_of_run(run, given(**flags))) is None


def test_the_evaluator_has_them_and_its_own_win(run, given):
    """`best_metric` is prepare's until it is given again."""
    assert prepare.settings_of_run(run, given()).best_metric == "Loss/total_loss"
    own = given(best_metric="DetectionBoxes_Precision/mAP")
    assert prepare.settings_of_run(run, own).best_metric == "DetectionBoxes_Precision/mAP"


def test_a_default_that_is_given_wins_too(run, given):
    """It is what was given that counts, not what differs from the default."""
    default = str(given().batch_size)
    assert prepare.settings_of_run(run, given(batch_size=default or "0")).batch_size == int(default)


def test_the_services_of_up_are_given_what_up_was(run, given):
    """All settings are passed on, and which of them were given."""
    settings = given(batch_size="4")
    passed = load({}, as_environment(settings, {}), None)
    assert passed == settings and passed.given == settings.given
    assert prepare.settings_of_run(run, passed).best_metric == "Loss/total_loss"


def test_a_model_is_recorded_wherever_the_trainer_works(given, tmp_path):
    """A relative path is made absolute; a preset stays a name."""
    (tmp_path / "my.config").write_text("")
    assert prepare.given_settings(given(model="my.config"))["model"] == str(tmp_path / "my.config")
    assert prepare.given_settings(given(model="tiny"))["model"] == "tiny"


def test_a_run_of_before_has_no_record(run, given):
    """Then only what is given now counts."""
    write_json(run.provenance, {"settings": {"batch_size": 4}})
    assert provenance.read_given(run) is None
    assert prepare.settings_of_run(run, given()) == given()
    assert prepare.changed_pipeline(run, given(batch_size="2")).batch_size == 2


def test_a_record_that_is_not_valid_is_refused(run, given):
    """With the file that holds it."""
    write_json(run.provenance, {"given": {"batch_size": "many", "gone": "1"}})
    with pytest.raises(SettingsError) as caught:
        prepare.settings_of_run(run, given())
    assert caught.value.where == str(run.provenance)
    assert "--batch_size" in caught.value.remedy


def test_where_the_run_is_and_its_data_are_not_recorded(given):
    """They are each command's own."""
    settings = given(dataset="elsewhere", once="true", masks="false", tensorboard_port="7000")
    assert prepare.given_settings(settings) == {"sample_images": "4", "masks": "false"}
