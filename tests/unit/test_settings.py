"""Settings: where values come from, what is refused, in which words."""

import dataclasses

import pytest
from refusals import refused

from app.environment import as_environment, load, with_recorded
from app.errors import SettingsError
from app.settings import FIELDS, Settings


def test_flag_wins_over_environment_over_dotenv_over_default(tmp_path):
    """Each source overrides the next; what nobody gives is the default."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("DETBOX_BATCH_SIZE=1\nDETBOX_SEED=1\nDETBOX_NUM_SHARDS=1\n")
    environ = {"DETBOX_BATCH_SIZE": "2", "DETBOX_SEED": "2"}
    settings = load({"batch_size": "3"}, environ, dotenv)
    assert (settings.batch_size, settings.seed, settings.num_shards, settings.log_every_n) == (3, 2, 1, 20)


def test_empty_means_not_given():
    """compose passes `DETBOX_BATCH_SIZE=` for a variable that is not set."""
    assert load({"run": ""}, {"DETBOX_BATCH_SIZE": "", "DETBOX_LEARNING_RATE": ""}, None) == Settings()


def test_every_default_is_valid():
    """Loading nothing gives the declared defaults."""
    assert load({}, {}, None) == Settings()


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        ({"batch_size": "x"}, {}, ["--batch_size: 'x'", "DETBOX_BATCH_SIZE", "auto"]),
        ({}, {"DETBOX_BATCH_SIZE": "-1"}, ["environment: DETBOX_BATCH_SIZE: '-1'", "--batch_size"]),
        ({"eval_fraction": "1"}, {}, ["--eval_fraction: '1'", "less than 1"]),
        ({"learning_rate": "nan"}, {}, ["--learning_rate"]),
        ({"debug": "perhaps"}, {}, ["--debug: 'perhaps'"]),
        ({"service": "trianer"}, {}, ["--service: 'trianer'", "trainer"]),
        ({"batchsize": "3"}, {}, ["--batchsize is unknown", "did you mean --batch_size?"]),
        ({}, {"DETBOX_BATCHSIZE": "3"}, ["DETBOX_BATCHSIZE is unknown", "did you mean DETBOX_BATCH_SIZE?"]),
    ],
)
def test_a_wrong_value_is_told_in_one_line(flags, environ, words):
    """The line names the value, its source, and the flag and variable that fix it."""
    with pytest.raises(SettingsError) as caught:
        load(flags, environ, None)
    assert "\n" not in str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == []


def test_an_unknown_name_in_dotenv_is_refused(tmp_path):
    """A typo in .env is not passed over; the message names the file."""
    (tmp_path / ".env").write_text("DETBOX_SEEED=1\n")
    with pytest.raises(SettingsError, match=r"\.env: variable DETBOX_SEEED is unknown -> did you mean DETBOX_SEED"):
        load({}, {}, tmp_path / ".env")


def test_variables_of_others_are_left_alone():
    """Only our prefix is looked at, less what tests and compose.yaml read."""
    assert load({}, {"PATH": "/bin", "DETBOX_TEST_DATA": "/d", "DETBOXER": "1"}, None) == Settings()


def test_two_checkpoint_cadences_are_refused():
    """Steps and seconds between checkpoints contradict each other."""
    with refused(
        SettingsError,
        where="--checkpoint_every_n, --checkpoint_every_secs",
        flag="--checkpoint_every_n",
        about="both given",
    ):
        load({"checkpoint_every_n": "5", "checkpoint_every_secs": "5"}, {}, None)


def test_a_setting_of_before_is_refused_with_its_new_name(tmp_path):
    """Pictures are images now, as a flag and in `.env`."""
    with refused(SettingsError, flag="--sample_images", about="--sample_pictures"):
        load({"sample_pictures": "4"}, {}, None)
    (tmp_path / ".env").write_text("DETBOX_SAMPLE_PICTURES=4\n")
    with pytest.raises(SettingsError) as caught:
        load({}, {}, tmp_path / ".env")
    assert "DETBOX_SAMPLE_IMAGES" in caught.value.remedy


def test_settings_are_frozen():
    """Nothing changes a setting after it was loaded."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().seed = 3


@pytest.mark.parametrize(
    ("given", "name"),
    [({}, "sample"), ({"dataset": "data/bccd/"}, "bccd"), ({"dataset": "data/bccd", "run": "r1"}, "r1")],
)
def test_run_is_named_after_the_data_set(given, name):
    """Without --run the run has the name of the data set's folder."""
    assert load(given, {}, None).run_name == name


def test_one_folder_is_one_name(tmp_path, monkeypatch):
    """However the path to it is written: slashes, dots, links."""
    folder = tmp_path / "my data (v2)"
    (folder / "images").mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    for path in (
        folder,
        f"{folder}/",
        ".",
        "./",
        "images/..",
        "../my data (v2)//",
        tmp_path / "link",
        f"{tmp_path}/link/",
    ):
        assert Settings(dataset=str(path)).run_name == "my-data-v2"


@pytest.mark.parametrize(
    ("old", "new"), [("true", "auto"), ("True", "auto"), ("false", "off"), ("bfloat16", "bfloat16")]
)
def test_a_value_by_its_old_name(old, new):
    """Half precision was true or false before it had kinds: in a flag, in the environment, in what a run recorded."""
    by_flag, by_variable = load({"mixed_precision": old}, {}, None), load({}, {"DETBOX_MIXED_PRECISION": old}, None)
    recorded = with_recorded(load({}, {}, None), {"mixed_precision": old}, "run.json")
    assert {one.mixed_precision for one in (by_flag, by_variable, recorded)} == {new}


def test_every_setting_has_its_line_and_group():
    """A documentation line is short, and says something."""
    for name, field in FIELDS.items():
        assert 5 < len(field.metadata["doc"]) < 140, name
        assert "\n" not in field.metadata["doc"], name
        assert field.metadata["group"], name


def test_environment_carries_all_settings_to_another_process(tmp_path):
    """A child reads back the same settings, though its .env says otherwise."""
    settings = load({"debug": "false", "batch_size": "0", "learning_rate": "0.5", "run": "2024"}, {}, None)
    environ = as_environment(settings, {"DETBOX_DEBUG": "true", "DETBOX_TEST_DATA": "/d", "HOME": "/h"})
    dotenv = tmp_path / ".env"
    dotenv.write_text("DETBOX_BATCH_SIZE=64\nDETBOX_DEBUG=true\n")
    assert load({}, environ, dotenv) == settings
    assert (environ["DETBOX_TEST_DATA"], environ["HOME"]) == ("/d", "/h")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_dotenv_of_any_editor(tmp_path, encoding):
    """Read in whatever encoding it was saved."""
    (tmp_path / ".env").write_text("DETBOX_DATASET=/Bücher\n", encoding)
    assert load({}, {}, tmp_path / ".env").dataset == "/Bücher"


@pytest.mark.parametrize(
    ("text", "where"), [("A=1\nDETBOX_RUN 'a\n", ":2"), ("DETBOX_RUN='a", ":1"), ("DETBOX_RUN=a\0b", "DETBOX_RUN")]
)
def test_a_line_of_dotenv_that_sets_nothing_is_refused(tmp_path, text, where):
    """Where it is a setting of ours; those of others are left alone."""
    (tmp_path / ".env").write_text(text)
    with refused(SettingsError, where=where, flag="DETBOX_"):
        load({}, {}, tmp_path / ".env")
    (tmp_path / ".env").write_text("some words\n'a\n")
    assert load({}, {}, tmp_path / ".env") == Settings()
