"""Atomic writing, tolerant reading."""

import json
import math
import os
import threading
import time

import pytest

from app.errors import DatasetError
from app.run.files import append_line, read_json, read_lines, refuse_foreign, replacing, write_json, write_text


def test_a_reader_never_sees_a_file_half_written(tmp_path):
    """While a writer rewrites a large file, each read gives one of its whole texts."""
    path, stop, seen = tmp_path / "f.json", threading.Event(), set()
    texts = [json.dumps(letter * 300_000) for letter in "ab"]
    write_text(path, texts[0])

    def write():
        while not stop.is_set():
            for text in texts:
                write_text(path, text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            seen.add(path.read_text())
    finally:
        stop.set()
        writer.join()
    assert seen <= set(texts)
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.json"]


def test_write_that_fails_leaves_the_old_file_alone(tmp_path):
    """An error while a value is turned to text, or put in place, leaves no debris."""
    path = tmp_path / "f.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Circular"):
        loop = {}
        loop["loop"] = loop
        write_json(path, loop)
    assert read_json(path) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.json"]


def test_replacing_a_folder_takes_the_new_one_whole(tmp_path):
    """What the old folder held is gone, and no staging is left."""
    target = tmp_path / "best"
    for name in ("one", "two"):
        with replacing(target) as staging:
            staging.mkdir()
            (staging / name).touch()
    assert [entry.name for entry in target.iterdir()] == ["two"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["best"]


def test_replacing_that_fails_keeps_the_old(tmp_path):
    """An exception in the block means that nothing changes."""
    target = tmp_path / "best"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(RuntimeError), replacing(target) as staging:
        staging.mkdir()
        raise RuntimeError
    assert [entry.name for entry in target.iterdir()] == ["old"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["best"]


def test_what_a_killed_process_left_is_cleared(tmp_path):
    """A staging folder that no process holds goes with the next replacing; one that is held, or young, stays."""
    target = tmp_path / "records"
    for name, age in (("dead", 3600), ("young", 0)):
        left = tmp_path / f".records.{name}"
        left.mkdir()
        (left / "half").touch()
        os.utime(left, (time.time() - age,) * 2)
    with replacing(tmp_path / "records") as other:
        os.utime(other.parent, (0, 0))
        with replacing(target) as staging:
            staging.mkdir()
        assert other.parent.is_dir()
        other.mkdir()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".records.young", "records"]


def test_readers_take_absence_and_damage(tmp_path):
    """None or an empty list, never an exception."""
    broken = tmp_path / "broken.json"
    broken.write_text('{"a": ')
    assert read_json(tmp_path / "absent.json") is None
    assert read_json(broken) is None
    assert read_lines(tmp_path / "absent.jsonl") == []
    assert read_lines(broken / "below") == []


def test_a_line_cut_short_costs_only_itself(tmp_path):
    """After a writer was killed in the middle of a line, the next lines can be read."""
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"step": 1})
    with open(path, "a") as file:
        file.write('{"step": 2, "lo')
    append_line(path, {"step": 3})
    append_line(path, {"step": 4})
    assert [row["step"] for row in read_lines(path)] == [1, 3, 4]


def test_tail_reads_the_last_rows_only(tmp_path):
    """A long file costs no more than a short one; a row cut by the seam is passed over."""
    path = tmp_path / "metrics.jsonl"
    for step in range(100):
        append_line(path, {"step": step})
    steps = [row["step"] for row in read_lines(path, tail_bytes=100)]
    assert steps == list(range(100 - len(steps), 100))
    assert 3 < len(steps) < 10


def test_a_folder_with_anything_else_is_refused(tmp_path):
    """With the first entry that is not the writer's own; a folder that is empty or missing is not."""
    folder = tmp_path / "records"

    def refused():
        refuse_foreign(folder, lambda path: path.suffix == ".tfrecord", remedy="another", error=DatasetError)

    refused()
    folder.mkdir()
    (folder / "train.tfrecord").touch()
    refused()
    (folder / "notes.txt").touch()
    with pytest.raises(DatasetError) as caught:
        refused()
    assert "notes.txt" in caught.value.what
    assert (caught.value.where, caught.value.remedy) == (str(folder), "another")


def test_a_file_where_a_folder_goes_is_refused(tmp_path):
    """It is not replaced."""
    (tmp_path / "records").touch()
    with pytest.raises(DatasetError) as caught:
        refuse_foreign(tmp_path / "records", lambda path: True, remedy="another", error=DatasetError)
    assert caught.value.where == str(tmp_path / "records")


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\x1c", "\r"])
def test_a_line_ends_where_it_was_ended(tmp_path, character):
    """A name with what Python takes for the end of a line does not cut a row in two."""
    row = {"name": f"a{character}b"}
    append_line(tmp_path / "a.jsonl", row)
    assert read_lines(tmp_path / "a.jsonl") == [row]


def test_a_number_that_is_not_finite_is_null(tmp_path):
    """JSON has no NaN, and most readers stop at it."""
    values = {"a": [math.nan, 1.0, (math.inf,)], "b": {"c": -math.inf, "NaN": "Infinity"}}
    finite = {"a": [None, 1.0, [None]], "b": {"c": None, "NaN": "Infinity"}}
    write_json(tmp_path / "f.json", values)
    append_line(tmp_path / "f.jsonl", values)
    for name in ("f.json", "f.jsonl"):
        assert json.loads((tmp_path / name).read_text(), parse_constant=pytest.fail) == finite
