"""Proto text in and out, with errors that name the line."""

import subprocess
import sys

import pytest
from refusals import refused

from app.errors import SettingsError
from app.protos import label_map, pipeline_config


def test_no_tensorflow():
    """Parsing a pipeline imports no TensorFlow: it takes seconds."""
    code = "import sys, app.pipeline.build; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("model {\n  ssd {\n    num_clases: 3 } }", 3, "num_clases"),
        ("model {\n  ssd {", 2, "Expected"),
        ("train_config {\n batch_size: many\n}", 2, "many"),
    ],
)
def test_parse_error(text, line, what):
    """A text that does not parse is one line: file, line, fault, remedy; exit code 3."""
    with pytest.raises(SettingsError) as caught:
        pipeline_config.parse_pipeline(text, where="my.config")
    message = str(caught.value)
    assert message.startswith(f"my.config:{line}: does not parse: ") and what in message
    assert " -> " in message and "\n" not in message
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("value", "shown", "remedy"),
    [
        (r'"C:\Users\me\ckpt-0"', r"C:\Users\me\ckpt-0", r"\\"),
        (r'"C:\data\"', r"C:\data", r"\\"),
        ("\u201c/data/ckpt-0\u201d", "\u201c/data/ckpt-0\u201d", '"/data/ckpt-0"'),
    ],
)
def test_text_of_other_systems_is_named(value, shown, remedy):
    """A backslash that begins no escape and curly quotes are shown, with what to write."""
    with refused(SettingsError, where="my.config:2", flag=remedy, about=shown) as caught:
        pipeline_config.parse_pipeline(f"train_config {{\n fine_tune_checkpoint: {value}\n}}", where="my.config")
    assert str(caught.value).isprintable()


def test_a_backslash_that_became_a_control_character_is_refused():
    r"""`D:\tensorflow\new` holds a tab and a newline: the field is named, the line not broken."""
    text = r'train_config { fine_tune_checkpoint: "D:\tensorflow\new" }'
    with refused(SettingsError, where="fine_tune_checkpoint", flag="/", about=r"D:\tensorflow\new") as caught:
        pipeline_config.parse_pipeline(text, where="my.config")
    assert str(caught.value).isprintable()


def test_override_changes_the_reader_that_is_there():
    """An eval_input_reader in an override edits the first one; an input_path replaces."""
    config = pipeline_config.parse_pipeline(
        'eval_input_reader { label_map_path: "m" tf_record_input_reader { input_path: "old" } }', where="a"
    )
    pipeline_config.merge_pipeline(
        'eval_input_reader { sample_1_of_n_examples: 2 tf_record_input_reader { input_path: "new" } }',
        config,
        where="b",
    )
    (reader,) = config.eval_input_reader
    assert (reader.label_map_path, reader.sample_1_of_n_examples) == ("m", 2)
    assert list(reader.tf_record_input_reader.input_path) == ["new"]


@pytest.mark.parametrize("data", [b"model {\xff}", b"\xff\xfem\0", None])
def test_a_file_that_is_no_text_is_refused(tmp_path, data):
    """A run's own pipeline.config or label map, which trainer and evaluator read; so is one that is not there."""
    path = tmp_path / "pipeline.config"
    if data is not None:
        path.write_bytes(data)
    for read in (pipeline_config.read_pipeline, label_map.read_label_map):
        with refused(SettingsError, where="pipeline.config", flag="detbox prepare"):
            read(path)


def test_the_mark_of_other_editors_is_no_fault(tmp_path):
    """A run's own file, saved again on Windows."""
    (tmp_path / "a").write_text("model { ssd { num_classes: 7 } }", "utf-8-sig")
    assert pipeline_config.read_pipeline(tmp_path / "a").model.ssd.num_classes == 7
