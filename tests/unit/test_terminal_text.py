"""Text from outside that stays within its line."""

import dataclasses
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from app import log
from app.errors import DatasetError
from app.html.page import escape
from app.run.directory import Run
from app.run.heartbeat import write_heartbeat
from app.services import live_view, run_state
from app.terminal_text import escape_controls, escape_json, escape_parts, take_any_text
from entrypoint.results import present

HOSTILE = "\x1b[31mred\n"
SEPARATORS = ["\n", "\r", "\t", "\x1b", "\x85", "\x9b", "\u2028", "\u2029", "\u202e", "\udce9", "\x7f"]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command may return."""

    classes: list[str]
    counts: dict[str, int]
    folder: Path

    def __str__(self):
        return f"{self.folder}: {', '.join(self.classes)}\n{self.counts}"


@pytest.mark.parametrize("character", SEPARATORS)
def test_escaped(character):
    """What ends a line, steers a terminal or is no text is shown as Python writes it."""
    assert escape_controls(f"a{character}b") == f"a{ascii(character)[1:-1]}b"
    assert len(escape_controls(f"a{character}b").splitlines()) == 1


@pytest.mark.parametrize("text", ["", "a b", "Räder", "数据集", "👩‍🚒", "שלום", "a\\n"])
def test_plain_text_stays(text):
    """Letters of all scripts, and emoji of several characters, are left as they are."""
    assert escape_controls(text) == text


@pytest.mark.parametrize("character", SEPARATORS)
def test_an_error_is_one_line(character):
    """Whatever is in the names that it tells of."""
    error = DatasetError(f"no class a{character}b", where=f"x{character}y", remedy=f"r{character}s")
    assert len(str(error).splitlines()) == 1 and "\x1b" not in str(error) and "\x9b" not in str(error)


def test_a_log_line_is_one_line():
    """A traceback keeps its lines."""
    formatter = log.OneLine("%(message)s")
    record = logging.LogRecord("app", logging.INFO, "f", 1, "class %s", (HOSTILE,), None)
    assert formatter.format(record) == "class \\x1b[31mred\\n"
    try:
        raise ValueError("x")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    assert len(formatter.format(record).splitlines()) > 2


def test_a_result_keeps_its_lines_and_no_others():
    """What the result composes has lines; what it holds has none."""
    result = Result([HOSTILE, "dog"], {HOSTILE: 1}, Path(f"/m/{HOSTILE}"))
    text = present(result, as_json=False)
    assert len(text.splitlines()) == 2 and "\x1b" not in text
    assert present({HOSTILE: HOSTILE}, as_json=False).count("\n") == 1
    assert present([HOSTILE], as_json=False).count("\n") == 1


@pytest.mark.parametrize("character", SEPARATORS)
def test_json_means_the_same(character):
    """Escapes of JSON's own: what a program reads is the name as it is, what a terminal shows is harmless."""
    value = {f"a{character}": [f"b{character}"]}
    text = present(value, as_json=True)
    assert json.loads(text) == value
    assert len(text.splitlines()) == 5 and text.isprintable() is False and character not in text.replace("\n", "")
    assert escape_json(text) == text


def test_collections():
    """Every text at any depth, and nothing else, is escaped."""
    value = {"a\n": [("b\n", 1, None)], "c": {"d": 2.5}}
    assert escape_parts(value) == {"a\\n": [("b\\n", 1, None)], "c": {"d": 2.5}}


@given(st.text(st.characters() | st.sampled_from("é\u2028\ud800\U0001f600")))
def test_any_text_can_be_written(text):
    """To a terminal of any encoding, and JSON means the same there."""
    for encoding in ("ascii", "latin-1", "cp437", "utf-8"):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
        take_any_text(stream)
        print(json.dumps([text], ensure_ascii=False), file=stream, flush=True)
        assert json.loads(raw.getvalue().decode(encoding)) == json.loads(json.dumps([text]))


@pytest.mark.parametrize("locale", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_a_terminal_without_letters(tmp_path, locale):
    """Under LC_ALL=C results and errors are printed, whatever the names in them."""
    folder = os.fsencode(tmp_path) + "/é数\x1b[31m".encode() + b"\xff"
    for arguments, code in ((["status"], 0), (["status", "--json"], 0), (["inspect", b"--dataset=" + folder], 4)):
        done = subprocess.run(
            [sys.executable, "-m", "entrypoint", *arguments, b"--models_dir=" + folder],
            env={**os.environ, "LC_ALL": "C", **locale}, capture_output=True, check=False,
        )  # fmt: skip
        printed = done.stdout + done.stderr
        assert (done.returncode, printed.isascii(), b"\x1b" in printed) == (code, True, False), printed
        if "--json" in arguments:
            assert json.loads(done.stdout)["runs"] == []


def test_every_way_out_keeps_text_in_its_line(tmp_path):
    """The lines and the panel of `up`, the log of other libraries, pages."""
    stream = io.StringIO()
    live_view.Lines(stream).print(HOSTILE)
    console = Console(file=io.StringIO(), force_terminal=False, width=90)
    run = Run(tmp_path / "r")
    write_heartbeat(run, "trainer", state="failed", step=0, of=0, reason=HOSTILE)
    state = run_state.read_run_state(run, HOSTILE)
    console.print(live_view.build_panel(state, {HOSTILE: state.trainer.describe(0.0)}, 80))
    live_view.Lines(stream).show(state, {})
    view = object.__new__(live_view.Panel)
    view._console = console
    view.print(HOSTILE)
    log.set_up(chatter_file=tmp_path / "log")
    logging.getLogger("other").warning("%s", HOSTILE)
    logging.getLogger().handlers[0].close()
    for text in (stream.getvalue(), console.file.getvalue(), (tmp_path / "log").read_text(), escape(HOSTILE)):
        assert "\\x1b[31mred" in text and "\x1b" not in text
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_a_page_keeps_the_lines_of_a_text():
    """And its tabs; what reverses the text behind it, or ends a line unseen, is shown."""
    assert escape("a\n\tb\u202ec\u2028\ud800<") == "a\n\tb\\u202ec\\u2028\\ud800&lt;"
