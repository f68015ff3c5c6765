"""`migrate`: files in, files out."""

import dataclasses
import json

import pytest
from refusals import refused
from tf1_configs import FASTER_RCNN

from app.environment import load
from app.errors import SettingsError
from app.jobs.migrate import run as migrate
from app.settings import Settings
from entrypoint.results import present


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "faster_rcnn.config"
    path.write_text(FASTER_RCNN)
    return path


def run(*words, **settings):
    return migrate(Settings(input="\n".join(map(str, words)), **settings))


def test_what_is_written(source):
    """A folder beside the config: the TF2 config, settings that detbox reads, and the page."""
    made = run(source, "save_checkpoints_steps=1000", "num_clones=2")
    folder = source.parent / "faster_rcnn-tf2"
    assert sorted(path.name for path in folder.iterdir()) == ["MIGRATION.md", "pipeline.config", "settings.env"]
    settings = load({}, {}, folder / "settings.env")
    assert (settings.model, settings.checkpoint_every_n) == (str(folder / "pipeline.config"), 1000)
    page = (folder / "MIGRATION.md").read_text()
    assert all(f"| `{change.what}` |" in page for change in (*made.changes, *made.run_changes))
    assert "--checkpoint_every_n=1000" in page and 'type: "faster_rcnn_resnet101_keras"' in page
    assert source.read_text() == FASTER_RCNN


def test_result(source):
    """The result is readable by people and by machines."""
    made = run(source)
    row = json.loads(present(made, as_json=True))
    assert {"what", "before", "after", "why"} == set(row["changes"][0])
    assert (row["extractor_before"], row["extractor"]) == ("faster_rcnn_resnet101", "faster_rcnn_resnet101_keras")
    assert "faster_rcnn_resnet101 -> faster_rcnn_resnet101_keras" in str(made)
    assert f"detbox up --model={made.config}" in str(made)


def test_again_and_elsewhere(source, tmp_path):
    """A migration may be repeated, and its folder chosen; a folder with the config in it will do as the source."""
    run(source)
    run(source)
    other = tmp_path / "in"
    other.mkdir()
    source.rename(other / "pipeline.config")
    assert run(other, output=str(tmp_path / "out")).config == str(tmp_path / "out" / "pipeline.config")


def test_nothing_is_overwritten(source, tmp_path):
    """Neither the source nor anybody's own config."""
    own = source.rename(tmp_path / "pipeline.config")
    with pytest.raises(SettingsError) as caught:
        run(own, output=str(tmp_path))
    assert "pipeline.config" in caught.value.what and "--output" in caught.value.remedy
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as caught:
        run(own, output=str(tmp_path / "file"))
    assert caught.value.where == str(tmp_path / "file") and "--output" in caught.value.remedy


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([""], "no pipeline.config is named"),
        (["gone.config"], "there is no such file"),
        (["{source}", "save_checkpoints_steps=often"], "checkpoint_every_n"),
        (["{source}", "keep_checkpoint_max=-1"], "checkpoint_max_to_keep"),
    ],
)
def test_refused(source, words, what):
    """In one line, with nothing written."""
    with pytest.raises(SettingsError, match=what):
        run(*(word.format(source=source) for word in words))
    assert [path.name for path in source.parent.iterdir()] == [source.name]


def test_not_text(source):
    """A binary file is called that."""
    source.write_bytes(b"\xff\xfe\x00")
    with refused(SettingsError, where="/faster_rcnn.config", about="UTF-8"):
        run(source)


def test_result_is_frozen(source):
    """It is a value."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        run(source).config = ""


def test_windows_editors_mark(source):
    """A byte order mark and CRLF are no part of the config."""
    plain = run(source).changes
    source.write_bytes(FASTER_RCNN.replace("\n", "\r\n").encode("utf-8-sig"))
    assert run(source).changes == plain


def test_tf2s_already(source):
    """A TF2 config comes out byte for byte, and that is said."""
    text = FASTER_RCNN.replace("resnet101'", "resnet101_keras'").replace("\n", "\r\n")
    source.write_bytes(text.encode())
    made = run(source)
    assert (source.parent / "faster_rcnn-tf2" / "pipeline.config").read_bytes() == text.encode()
    assert "TF2's already, nothing is changed" in str(made) and made.changes == []
    page = (source.parent / "faster_rcnn-tf2" / "MIGRATION.md").read_text()
    assert "Nothing: it was TF2's already" in page and "comments left out" not in page
