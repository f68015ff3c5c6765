"""Compacted logs, as TensorBoard's own reader has them."""

import json
import shutil

import numpy as np
import pytest
from event_logs import (
    START,
    Log,
    pixels,
    plugins,
    png,
    read,
    scalars,
    text,
    tf1_image,
    tf1_log,
    tf1_scalar,
    tf2_images,
    tf2_scalar,
    torch_log,
    upstream_log,
)
from refusals import refused
from tensorboard.compat.proto import summary_pb2

from app.errors import SettingsError
from app.events.compaction import PROOF, compact
from app.events.frame_reader import FrameReader
from app.events.log_files import find_logs
from app.events.log_index import index_folder
from app.events.plan import Cadence
from app.events.summary_value import IMAGE_FIELD, METADATA, SIMPLE_VALUE, TENSOR_FIELD
from app.events.superseded import mark_superseded
from app.events.wire import write_field, write_varint
from app.tfrecord import frame

MAKERS = {"TF1": tf1_log, "PyTorch": torch_log}


def proofs(folder):
    return {(row["folder"], row["tag"]): row for row in json.loads((folder / PROOF).read_text())["tags"]}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_without_a_budget_everything_is_shown_as_before(tmp_path, make):
    """Each tag with its plugin, times, steps and numbers; images look the same and are smaller."""
    make(tmp_path / "log")
    result = compact(tmp_path / "log", None, budget=0)
    before, after = read(tmp_path / "log"), read(tmp_path / "log.compacted")
    assert plugins(tmp_path / "log.compacted") == plugins(tmp_path / "log")
    assert list(after) == list(before)
    for tag in before:
        assert [row[:2] for row in after[tag]] == [row[:2] for row in before[tag]]
        for (_, _, old), (_, _, new) in zip(before[tag], after[tag], strict=True):
            if not old.string_val or len(old.string_val) < 3:
                assert new == old
                continue
            assert new.string_val[:2] == old.string_val[:2]
            for one, other in zip(old.string_val[2:], new.string_val[2:], strict=True):
                assert len(other) < len(one) / 2
                assert np.abs(pixels(one) - pixels(other)).mean() < 8
    assert result.superseded == 0 and result.warnings == []


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_within_a_budget_each_curve_has_its_ends_and_extrema(tmp_path, make):
    """With their exact values and steps, by the proof and by TensorBoard; all that is kept was there before."""
    make(tmp_path / "log", steps=120)
    budget = 20_000
    result = compact(tmp_path / "log", None, budget=budget)
    assert result.bytes_after <= budget and result.warnings == []
    before, after = read(tmp_path / "log"), read(tmp_path / "log.compacted")
    assert list(after) == list(before) and plugins(tmp_path / "log.compacted") == plugins(tmp_path / "log")
    for (_, tag), row in proofs(tmp_path / "log.compacted").items():
        assert row["kept"] == len(after[tag]) and row["values"] == len(before[tag])
        assert {one[:2] for one in after[tag]} <= {one[:2] for one in before[tag]}
        assert (after[tag][0][0], after[tag][-1][0]) == (before[tag][0][0], before[tag][-1][0])
        if row["kind"] == "scalar":
            old, new = scalars(tmp_path / "log", tag), scalars(tmp_path / "log.compacted", tag)
            for least in (min, max):
                assert least(new, key=lambda one: one[1]) == least(old, key=lambda one: one[1])
            assert row["first"] == {"step": old[0][0], "number": old[0][1]}
            assert set(new) <= set(old) and len(new) < len(old)


def test_images_are_spread_evenly(tmp_path):
    """Over the whole run, at about the same distance."""
    tf1_log(tmp_path / "log", steps=120)
    compact(tmp_path / "log", None, budget=80_000)
    steps = [row[0] for row in read(tmp_path / "log.compacted")["new_images"]]
    assert steps[0] == 0 and steps[-1] == 1190 and 10 < len(steps) < 60
    assert max(np.diff(steps)) - min(np.diff(steps)) <= 20


def test_of_steps_that_a_resume_wrote_twice_the_later_stays(tmp_path):
    """Upstream's loop marks no restart: TensorBoard would draw both."""
    upstream_log(tmp_path / "log")
    result = compact(tmp_path / "log", None, budget=0)
    # Each process reaches 400 steps into the next one's.
    expected = [
        (step, (0 if step < 500 else 1 if step < 1000 else 2 if step < 1500 else 3)) for step in range(0, 2500, 100)
    ]
    found = scalars(tmp_path / "log.compacted", "Loss/total_loss")
    assert [step for step, _ in found] == [step for step, _ in expected] + [2500]
    assert [round(number - step / 1000) for step, number in found][:25] == [number for _, number in expected]
    assert proofs(tmp_path / "log.compacted")[".", "Loss/total_loss"]["superseded"] == 12
    assert result.damaged > 0 and result.superseded == 36


def test_a_marked_restart_drops_what_tensorboard_drops(tmp_path):
    """Of a file of its own, or within one."""
    log = Log(tmp_path / "log", start=1000).event(0, session_log=START)
    for step in range(0, 1000, 100):
        log.values(step, tf2_scalar("loss", step))
    log.event(500, session_log=START)
    log.values(700, tf2_scalar("loss", -1))
    log.close()
    before = read(tmp_path / "log")
    compact(tmp_path / "log", None, budget=0)
    assert read(tmp_path / "log.compacted") == before
    assert proofs(tmp_path / "log.compacted")[".", "loss"]["superseded"] == 5


def test_two_writers_at_one_time_keep_all(tmp_path):
    """Neither is a resume of the other."""
    first, second = Log(tmp_path / "log", start=1000), Log(tmp_path / "log", start=1001)
    for step in range(50):
        first.values(step, tf2_scalar("loss", step))
        second.values(step, tf2_scalar("loss", -step))
    first.close(), second.close()
    assert compact(tmp_path / "log", None, budget=0).superseded == 0


def test_a_tag_without_steps_keeps_all(tmp_path):
    """Every value of such a tag is at step 0, in each process."""
    for start in (1000, 2000):
        log = Log(tmp_path / "log", start=start)
        for number in range(20):
            log.values(0, tf1_scalar("loss", number))
        log.close()
    assert compact(tmp_path / "log", None, budget=0).superseded == 0


def test_what_is_not_known_is_kept_whatever_the_budget(tmp_path):
    """Graphs, sessions, plugins of others; that the budget does not hold is said."""
    tf1_log(tmp_path / "log")
    result = compact(tmp_path / "log", None, budget=300)
    data = (tmp_path / "log.compacted" / next((tmp_path / "log").iterdir()).name).read_bytes()
    assert b"graph" * 50 in data and b"done" in data
    assert len(result.warnings) == 1
    assert {row["kept"] for row in proofs(tmp_path / "log.compacted").values() if row["kind"] == "scalar"} <= {2, 3, 4}


def test_a_cadence_wins_over_the_budget(tmp_path):
    """A tag has that of the first pattern, with its ends and extrema; 0 drops it; one without steps has the budget."""
    torch_log(tmp_path / "log", steps=200)
    cadences = [Cadence("loss/*", 10), Cadence("samples", 50), Cadence("weights/*", 0), Cadence("*", 1)]
    compact(tmp_path / "log", None, budget=1, cadences=cadences)
    after = read(tmp_path / "log.compacted")
    assert [step for step, _, _ in after["loss/train"]] == [*range(0, 200, 10), 199]
    assert [step for step, _, _ in after["samples"]] == [0, 50, 100, 150, 199]
    assert "weights/conv1" not in after
    assert len(after["without_steps"]) == 2


def test_metadata_stays_with_a_tag_that_lost_its_first_value(tmp_path):
    """TF1's writer gives it with the first value alone, without which a value is of no plugin."""
    for start, first, described in ((1000, 0, True), (2000, 0, False)):
        log = Log(tmp_path / "log", start=start)
        for step in range(first, 300, 100):
            log.values(step, tf2_images("images", [png(step)], described=described and step == 0))
            log.values(step, tf2_scalar("loss", step, described=described and step == 0))
        log.close()
    assert compact(tmp_path / "log", None, budget=0).superseded == 6
    assert plugins(tmp_path / "log.compacted") == {"images": "images", "loss": "scalars"}


def test_damage_costs_only_what_is_damaged(tmp_path):
    """What follows a bad record is found again: TensorBoard's reader, which stops there, gets it from the result."""
    path = tf1_log(tmp_path / "log")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = compact(tmp_path / "log", None, budget=0)
    assert 0 < result.damaged < 40_000
    before, after = read(tmp_path / "log"), read(tmp_path / "log.compacted")
    assert len(before["losses/total"]) < 25 and len(after["losses/total"]) >= 39


def test_a_record_that_is_no_event_is_left_out(tmp_path):
    """Its checksum is right, and it is no message."""
    path = torch_log(tmp_path / "log")
    with open(path, "ab") as file:
        file.write(frame(b"\xff" * 30))
    result = compact(tmp_path / "log", None, budget=0)
    assert result.damaged == 46 and len(read(tmp_path / "log.compacted")["loss/train"]) == 40


def test_one_tag_in_one_event_twice(tmp_path):
    """Both stay, or go."""
    log = Log(tmp_path / "log", start=1000)
    for step in range(1000):
        log.values(step, tf1_scalar("a", step), tf1_scalar("a", -step), tf1_scalar("b", 1))
    log.close()
    compact(tmp_path / "log", None, budget=9000)
    assert len(read(tmp_path / "log.compacted")["a"]) % 2 == 0


def test_numbers_that_are_none(tmp_path):
    """A diverged loss: the first of them is a point that people look for."""
    log = Log(tmp_path / "log", start=1000)
    for step in range(5000):
        log.values(step, tf2_scalar("loss", np.nan if step > 3000 else np.inf if step == 77 else step))
    log.close()
    compact(tmp_path / "log", None, budget=9000)
    after = scalars(tmp_path / "log.compacted", "loss")
    assert (77, np.inf) in after and 3001 in [step for step, number in after if np.isnan(number)]
    row = proofs(tmp_path / "log.compacted")[".", "loss"]
    assert row["maximum"] == {"step": 77, "number": None} and row["last"]["number"] == "NaN"


@pytest.mark.parametrize("kind", ["drawing", "transparent", "16 bits", "JPEG", "nonsense"])
def test_images_that_do_not_gain_stay(tmp_path, kind):
    """Byte for byte; a drawing keeps its pixels."""
    import io

    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 4), np.uint8)
    made = {
        "drawing": Image.new("RGB", (96, 64), "white"),
        "transparent": Image.fromarray(noise),
        "16 bits": Image.fromarray(noise[..., 0].astype(np.uint16) * 200),
        "JPEG": Image.fromarray(noise[..., :3]),
    }
    buffer = io.BytesIO(b"nonsense" * 99)
    if kind in made:
        made[kind].save(buffer, "JPEG" if kind == "JPEG" else "PNG")
    log = Log(tmp_path / "log", start=1000)
    log.values(1, tf1_image("a", buffer.getvalue())).values(1, tf2_images("b", [buffer.getvalue()]))
    log.close()
    compact(tmp_path / "log", None, budget=0)
    if kind != "drawing":
        assert read(tmp_path / "log.compacted") == read(tmp_path / "log")
    else:  # As PNG, maybe in fewer bytes.
        tensor = read(tmp_path / "log.compacted")["b"][0][2]
        assert (pixels(tensor.string_val[2]) == 255).all() and len(tensor.string_val[2]) <= len(buffer.getvalue())


def test_a_tree_keeps_its_folders(tmp_path):
    """Each is a run of TensorBoard's; other files stay out of the result, hidden folders are not looked into."""
    tf1_log(tmp_path / "run" / "train")
    torch_log(tmp_path / "run" / "eval")
    (tmp_path / "run" / "ckpt-1.index").write_text("x")
    torch_log(tmp_path / "run" / ".hidden")
    compact(tmp_path / "run", tmp_path / "out", budget=0)
    assert sorted(path.relative_to(tmp_path / "out").parts[0] for path in (tmp_path / "out").iterdir()) == [
        PROOF,
        "eval",
        "train",
    ]
    assert len(read(tmp_path / "out" / "eval")["loss/train"]) == 40


def test_in_place_the_log_is_the_small_one(tmp_path):
    """Nothing else is left or lost; doing it again changes nothing."""
    upstream_log(tmp_path / "run" / "train")
    (tmp_path / "run" / "ckpt-1.index").write_text("x")
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    compact(tmp_path / "copy", tmp_path / "out", budget=50_000)
    compact(tmp_path / "run", None, budget=50_000, in_place=True)
    assert read(tmp_path / "run" / "train") == read(tmp_path / "out" / "train")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["ckpt-1.index", PROOF, "train"]
    before = read(tmp_path / "run" / "train")
    compact(tmp_path / "run", None, budget=50_000, in_place=True)
    assert read(tmp_path / "run" / "train") == before


def test_the_original_is_untouched(tmp_path):
    """Byte for byte."""
    path = tf1_log(tmp_path / "log")
    before = path.read_bytes()
    compact(tmp_path / "log", None, budget=20_000)
    assert path.read_bytes() == before


def test_one_file_may_be_named(tmp_path):
    """Its result is a folder, as TensorBoard is given one; not one with a file's name, which it would take for one."""
    path = tf1_log(tmp_path / "log")
    torch_log(tmp_path / "log")
    compact(path, None, budget=0)
    assert "losses/rpn" in read(tmp_path / "log.compacted") and "loss/train" not in read(tmp_path / "log.compacted")


def test_a_file_that_is_being_written_is_refused(tmp_path):
    """Its end is not there yet."""
    log = Log(tmp_path / "log", start=1000)
    with refused(SettingsError, where=log.path.name):
        compact(tmp_path / "log", None, budget=0)
    log.close()
    compact(tmp_path / "log", None, budget=0)


def test_a_file_that_was_just_written_is_not_replaced(tmp_path):
    """A writer in a container, which is not to be seen from outside, would go on with a file that is gone."""
    path = torch_log(tmp_path / "log")
    path.touch()
    with refused(SettingsError, where=path.name, flag="--in_place"):
        compact(tmp_path / "log", None, budget=0, in_place=True)
    compact(tmp_path / "log", None, budget=0)


def test_another_folder_is_not_replaced(tmp_path):
    """Only one that compaction has made."""
    torch_log(tmp_path / "log")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with refused(SettingsError, where="other", flag="--output"):
        compact(tmp_path / "log", tmp_path / "other", budget=0)
    with refused(SettingsError, where="log", flag="--in_place"):
        compact(tmp_path / "log", tmp_path / "log", budget=0)
    compact(tmp_path / "log", tmp_path / "out", budget=0)
    compact(tmp_path / "log", tmp_path / "out", budget=0)


@pytest.mark.parametrize("name", ["nothing", "missing"])
def test_a_path_without_event_files_is_refused(tmp_path, name):
    """Whether it is there or not."""
    (tmp_path / "nothing").mkdir()
    with refused(SettingsError, where=name):
        compact(tmp_path / name, None, budget=0)


ODD = {
    "a number of another type": write_varint(SIMPLE_VALUE << 3) + b"\1",
    "an image that is no message": write_field(IMAGE_FIELD, b"\x0e"),
    "a tensor that is none": write_field(TENSOR_FIELD, b"\x0e"),
    "a plugin named as a kind": write_field(METADATA, write_field(1, write_field(1, b"scalar"))) + write_field(8, b""),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_values_that_no_writer_makes_stay_as_they_are(tmp_path, odd):
    """Byte for byte, where the record around them is whole."""
    log = Log(tmp_path / "log", start=1000)
    for step in range(3):
        summary = write_field(1, write_field(1, b"odd") + odd)
        log.raw(write_varint(2 << 3) + write_varint(step) + write_field(5, summary))
        log.values(step, tf1_scalar("loss", 1.0))
    path = log.close()
    compact(tmp_path / "log", None, budget=0)
    assert list(FrameReader(tmp_path / "log.compacted" / path.name)) == list(FrameReader(path))


def test_a_tag_keeps_its_plugin_when_its_first_values_go(tmp_path):
    """A resume has written them again, with metadata that names no plugin: the first has it, to TensorBoard."""
    nameless = summary_pb2.SummaryMetadata(plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name=""))
    for start in (1000, 2000):
        log = Log(tmp_path / "log", start=start)
        for step in range(5):
            value = tf2_scalar("loss", step)
            if start == 2000:
                value.metadata.CopyFrom(nameless)
            log.values(step, value)
        log.close()
    compact(tmp_path / "log", None, budget=0)
    assert plugins(tmp_path / "log.compacted") == {"loss": "scalars"}
    assert len(scalars(tmp_path / "log.compacted", "loss")) == 5


def test_an_event_that_holds_no_message_is_left_out(tmp_path):
    """As a record that is damaged."""
    log = Log(tmp_path / "log", start=1000).raw(write_field(7, b"\x0e")).values(1, tf1_scalar("loss", 1))
    log.close()
    result = compact(tmp_path / "log", None, budget=0)
    assert result.damaged == 3 + 16 and [tag.tag for tag in result.tags] == ["loss"]


def test_values_of_a_tag_of_two_kinds_stay_of_their_kinds(tmp_path):
    """Where only the first has told its plugin, and a resume has written that again."""
    for start in (1000, 2000):
        log = Log(tmp_path / "log", start=start)
        for step in range(10) if start == 1000 else range(5):
            log.values(step, tf2_images("both", [png(step)], described=start == 1000 and step == 0))
            log.values(step, text("both", "words"))
        log.close()
    before = {track.key: track.steps[track.alive].tolist() for track in alive(tmp_path / "log")}
    compact(tmp_path / "log", None, budget=0)
    assert {track.key: track.steps.tolist() for track in alive(tmp_path / "log.compacted")} == before
    assert set(before) == {("both", "image"), ("both", "text")}


def alive(folder):
    """The series of a folder, with what no resume has written again."""
    index = index_folder(folder, find_logs(folder)[folder])
    mark_superseded(index)
    return index.tracks
