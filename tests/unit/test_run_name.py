"""Names of runs, as given and made of a folder's."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.run_name import derive_run_name, is_run_name


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("wheels_yolo", "wheels_yolo"),
        ("v1.2-b_", "v1.2-b_"),
        ("my data set", "my-data-set"),
        ("v1.2 (final)", "v1.2-final"),
        ("Datensatz für Räder", "Datensatz-fur-Rader"),
        ("Straße", "Strasse"),
        (" a  &  b ", "a-b"),
        (".hidden", "hidden"),
        ("-x", "x"),
        ("a.v1i.yolov8 (1)", "a.v1i.yolov8-1"),
        ("１２", "12"),
    ],
)
def test_readable(folder, name):
    """A name that may be stays; of another what can be read stays."""
    assert derive_run_name(folder) == name


@pytest.mark.parametrize("folder", ["数据集", "ड", "🚗", "", "...", "zoo", "serving", "x" * 300, "Łódź", "a数b"])
def test_told_apart(folder):
    """What is lost is made up for by a hash: another folder gets another name."""
    name = derive_run_name(folder)
    assert is_run_name(name) and name == derive_run_name(folder)
    assert name not in {derive_run_name(f"{folder}数"), derive_run_name(f"{folder}集")}


def test_composed_or_not():
    """One folder has one name on Linux and macOS, which store its letters differently."""
    for folder in ("Räder", "Łódź", "が"):
        forms = {derive_run_name(unicodedata.normalize(form, folder)) for form in ("NFC", "NFD")}
        assert len(forms) == 1


@given(some.text())
def test_always_a_name(folder):
    """Whatever a folder is called."""
    assert is_run_name(derive_run_name(folder))


@given(some.binary(max_size=40))
def test_bytes_that_are_no_text(data):
    """File names of other encodings too."""
    assert is_run_name(derive_run_name(data.decode("utf-8", "surrogateescape")))


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "a/b", "a b", "ä", "zoo", "serving", "a" * 101, "a\n"])
def test_no_name(name):
    """What could leave the folder of runs, is detbox's own, or is none for a model in serving."""
    assert not is_run_name(name)
