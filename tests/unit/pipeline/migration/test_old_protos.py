"""Fields that today's protos lack."""

import pytest

from app.errors import SettingsError
from app.protos.unknown_fields import parse_pipeline

CONFIG = """train_config {
  batch_size: 3  # images
  %s
  num_steps: 7
}
"""


@pytest.mark.parametrize(
    "field",
    [
        "gone: 1",
        "gone : 1.5e-3,",
        "gone: TRUE;",
        "gone: 'a \\' } # b'",
        'gone: "a" # one\n  "b"',
        "gone { deep { x: '}' } # }\n }",
        "gone: { x: 1 }",
        "gone <x: 1>",
        "gone: [1, 2, 3]",
        "gone # what it is\n : # and has\n 5",
    ],
)
def test_one_unknown_field(field):
    """Whatever its form, it is taken out alone and named with its line; the rest is read."""
    config, unknown = parse_pipeline(CONFIG % field, where="a.config")
    assert (config.train_config.batch_size, config.train_config.num_steps) == (3, 7)
    assert [(row.name, row.message, row.line) for row in unknown] == [("gone", "TrainConfig", 3)]
    assert unknown[0].text == " ".join(field.rstrip(",;").split())


def test_several_unknown_fields():
    """Each is found, also two in a line and one that a known name holds elsewhere."""
    config, unknown = parse_pipeline(CONFIG % "a: 1 b { c: 2 } ssd { }\n d: 3", where="a.config")
    assert [(row.name, row.line) for row in unknown] == [("a", 3), ("b", 3), ("ssd", 3), ("d", 4)]
    assert config.train_config.num_steps == 7


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("batch_size: 4", "multiple"),
        ("sync_replicas: 3", "true"),
        ("gone { x: 1", ""),
        ("gone:", ""),
        ("fine_tune_checkpoint_version: V9", "V9"),
    ],
)
def test_other_faults(field, what):
    """What is wrong in another way stays an error with its line."""
    with pytest.raises(SettingsError, match=rf"a\.config:\d+: does not parse.*{what}"):
        parse_pipeline(CONFIG % field, where="a.config")
