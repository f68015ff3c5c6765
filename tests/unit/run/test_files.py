"""Atomic writing, tolerant reading."""

import json
import math
import os
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import DatasetError
from app.run.files import (
    append_line,
    flush,
    read_json,
    read_lines,
    read_object,
    refuse_foreign,
    replacing,
    write_json,
    write_text,
)
from app.run.lenient_json import Schema, count, file_name, numbers, text


def test_a_reader_never_sees_a_file_half_written(tmp_path):
    """While a writer rewrites a large file, each read gives one of its whole texts."""
    path, stop, seen = tmp_path / "f.json", threading.Event(), set()
    texts = [json.dumps(letter * 300_000) for letter in "ab"]
    write_text(path, texts[0])

    def write():
        while not stop.is_set():
            for written in texts:
                write_text(path, written)

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


@given(st.lists(st.text(st.characters() | st.sampled_from("\x85\u2028\x1c\r\n\0\ud800\udfff\U0001f600")), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_is_kept_in_its_line(tmp_path, names):
    """ASCII, one line for each row; what is read is the name, with halves of pairs in words. Files that are no lines
    keep it as well."""
    lines, whole = tmp_path / "a.jsonl", tmp_path / "a.json"
    lines.unlink(missing_ok=True)
    for name in names:
        append_line(lines, {name: name})
        write_json(whole, [name])
        assert read_json(whole) == [in_words(name)]
    assert read_lines(lines) == [{in_words(name): in_words(name)} for name in names]
    if names:
        assert lines.read_bytes().isascii() and lines.read_bytes().count(b"\n") == len(names)


def in_words(name):
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


@pytest.mark.parametrize("content", [b"\0" * 99, b"[" * 99_999, b"9" * 9_999, b"\xff\xfe\0", b"", b'{"a": "\xff'])
def test_what_is_no_json_is_left_out_and_said_once(tmp_path, caplog, content):
    """As a file and as a line; the lines around it count. A folder in a file's place is no error either."""
    path, lines = tmp_path / "a.json", tmp_path / "a.jsonl"
    path.write_bytes(content)
    lines.write_bytes(b'{"a": 1}\n' + content + b'\n[1]\n{"a": 2}\n')
    for _ in range(2):
        assert read_json(path) is None and read_object(path) == {}
        assert read_lines(lines) == [{"a": 1}, {"a": 2}]
        assert read_json(tmp_path) is None and read_lines(tmp_path) == []
    assert [str(place) in caplog.text for place in (path, lines)] == [True, True]
    assert len(caplog.records) == 3


def test_a_schema_leaves_out_what_is_of_another_type(tmp_path):
    """A key that it needs is missed; one that it does not know is left as it is."""
    schema = Schema({"step": count, "name": text, "parts": numbers}, required=("step",))
    rows = [
        {"step": 1, "name": "a", "parts": {"b": 0.5}, "new": []},
        {"step": 2, "name": 7, "parts": {"b": "c", "d": 10**400, "e": 1}},
        {"step": "3"},
        {"step": -1},
        {"step": 10**400},
        {"name": "a"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_lines(path, schema) == [rows[0], {"step": 2, "parts": {"e": 1}}]


def test_files_of_other_editors_are_read(tmp_path):
    """With a byte order mark, in UTF-16."""
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "a.json").write_text('{"a": "ä"}', encoding)
        assert read_json(tmp_path / "a.json") == {"a": "ä"}


def test_a_number_that_is_not_finite_is_null(tmp_path):
    """JSON has no NaN, and most readers stop at it."""
    values = {"a": [math.nan, 1.0, (math.inf,)], "b": {"c": -math.inf, "NaN": "Infinity"}}
    finite = {"a": [None, 1.0, [None]], "b": {"c": None, "NaN": "Infinity"}}
    write_json(tmp_path / "f.json", values)
    append_line(tmp_path / "f.jsonl", values)
    for name in ("f.json", "f.jsonl"):
        assert json.loads((tmp_path / name).read_text(), parse_constant=pytest.fail) == finite


def test_what_has_a_name_is_on_the_disk(tmp_path, monkeypatch):
    """The disk is asked to hold a file before it is renamed, so that a machine that goes down leaves no empty one."""
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append(os.fstat(handle).st_size), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("renamed"), replace(*paths)))
    write_text(tmp_path / "a", "12345")
    with replacing(tmp_path / "b") as staging:
        staging.write_text("123")
    assert calls == [5, "renamed", 3, "renamed"]


def test_a_file_system_that_holds_no_folders(tmp_path, monkeypatch):
    """Some can't be asked to; a file that is not held is an error."""

    def refuse(handle):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    flush([tmp_path])
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="Invalid"):
        flush([tmp_path / "a"])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0", "a" * 256, "é" * 128, 7, None])
def test_what_is_no_name_of_a_file(name):
    """It would lead elsewhere, or to what no file system has."""
    assert file_name(name) is None
    assert file_name("a" * 255) == "a" * 255


def test_a_signal_when_a_file_has_just_got_its_name(tmp_path, monkeypatch):
    """It is what ends the process, not that the temporary file is gone."""
    replace = os.replace

    def interrupted(source, target):
        replace(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a", "text")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "text"}


def test_a_signal_between_the_renames_of_a_folder(tmp_path, monkeypatch):
    """The one that there was stays."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()

    def interrupted(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a") as staging:
        staging.mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["a", "a/old"]
