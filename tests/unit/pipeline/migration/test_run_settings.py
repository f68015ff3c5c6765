"""TF1's flags and RunConfig as settings."""

import pytest

from app.errors import SettingsError
from app.pipeline.migration import run_settings
from app.settings import FIELDS


def translated(*words):
    return run_settings.translate(run_settings.split(words))


def test_every_target_is_a_setting():
    """What TF1's names are translated to exists, and no name has two fates."""
    assert set(run_settings.SAME.values()) <= set(FIELDS)
    tables = (run_settings.SAME, run_settings.GONE, run_settings.BY_HAND)
    assert len(set().union(*tables)) == sum(map(len, tables))


@pytest.mark.parametrize(
    ("word", "settings"),
    [
        ("save_summary_steps=100", {"summary_every_n": "100"}),
        ("save_checkpoints_steps=1000", {"checkpoint_every_n": "1000"}),
        ("--save_checkpoints_secs=600", {"checkpoint_every_secs": "600"}),
        ("save_checkpoints_secs=None", {}),
        ("keep_checkpoint_max=5", {"checkpoint_max_to_keep": "5"}),
        ("keep_checkpoint_max=0", {"checkpoint_max_to_keep": "1000000"}),
        ("log_step_count_steps=100", {"log_every_n": "100"}),
        ("--num_train_steps=50000", {"num_train_steps": "50000"}),
        ("sample_1_of_n_eval_examples='2'", {"sample_1_of_n_eval_examples": "2"}),
        ("model_dir=/runs/mine/", {"models_dir": "/runs", "run": "mine"}),
        ("run_once=True", {"once": "true"}),
        ("num_clones=4", {}),
        ("eval_interval_secs=300", {}),
    ],
)
def test_translated(word, settings):
    """Each becomes its setting, or goes, with a reason."""
    made, changes, left = translated(word)
    assert made == settings and left == []
    assert len(changes) == 1 and changes[0].why and word.strip("-").startswith(changes[0].what)


def test_left_to_the_user():
    """What has to be written in another form is."""
    assert translated("hparams_overrides=train_steps=5")[2] == [
        "hparams_overrides=train_steps=5: write them as proto text in config_override."
    ]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["save_checkpoint_steps=5"], "did you mean save_checkpoints_steps"),
        (["colour=red"], "docs/from-tf1.md"),
        (["save_checkpoints_steps"], "is no setting"),
        (["=5"], "is no setting"),
        (["num_clones=1", "num_clones=2"], "given twice"),
        (["save_checkpoints_steps=5", "save_checkpoints_secs=5"], "are both given"),
        (["train_steps=5", "num_train_steps=6"], "contradicts"),
    ],
)
def test_refused(words, what):
    """Unknown, half-written and contradicting words are refused."""
    with pytest.raises(SettingsError, match=what):
        translated(*words)


def test_none_is_not_given():
    """TF1's RunConfig has both kinds of cadence, of which one is None."""
    assert translated("save_checkpoints_steps=500", "save_checkpoints_secs=None")[0] == {"checkpoint_every_n": "500"}
