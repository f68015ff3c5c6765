"""Text from outside that stays within its line."""

import dataclasses
import json
import logging
from pathlib import Path

import pytest

from app import log
from app.errors import DatasetError
from app.terminal_text import escape_controls, escape_json, escape_parts
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
