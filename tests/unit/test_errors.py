"""The error tree: its codes, its lines."""

import re

import pytest

from app import errors

TREE = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.DetboxError)]


def test_codes_are_the_documented_ones():
    """The exit codes are part of the command line's contract."""
    codes = {cls.__name__: cls.exit_code for cls in TREE if "exit_code" in vars(cls)}
    assert codes == {
        "DetboxError": 1,
        "UsageError": 2,
        "SettingsError": 3,
        "DatasetError": 4,
        "PatchMismatchError": 5,
        "DivergedError": 6,
        "OutOfMemoryError": 7,
        "GateError": 8,
        "StalledError": 9,
        "WorkerLostError": 10,
    }


def test_tree_is_drawn_whole():
    """The module's docstring draws every class, with its code where that is fixed."""
    for cls in TREE:
        code = str(cls.exit_code) if "exit_code" in vars(cls) else ""
        assert re.search(rf"{cls.__name__}\s+{code}", errors.__doc__), cls


@pytest.mark.parametrize("number", [2, 15])
def test_stopped_has_the_code_of_its_signal(number):
    """130 for SIGINT, 143 for SIGTERM."""
    assert errors.Stopped("x", signal_number=number).exit_code == 128 + number


def test_message_is_one_line_of_where_what_remedy():
    """Line breaks in a cause don't break the line."""
    error = errors.DatasetError("two\n  boxes", where="a.xml", remedy="fix\nit")
    assert str(error) == "a.xml: two boxes -> fix it"
    assert str(errors.DatasetError("no boxes")) == "no boxes"
