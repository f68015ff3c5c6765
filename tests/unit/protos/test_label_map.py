"""Label maps: the run's own, read strictly, and anyone's, read as they were meant."""

import logging

import pytest
from refusals import refused

from app.errors import SettingsError
from app.protos import label_map, label_map_text
from app.protos.label_map_text import LabelMapError

STANDARD = "item {{\n  id: 1\n  name: {0}cat{1}\n}}\nitem {{\n  id: 2\n  name: {0}traffic light{1}\n}}\n"
CAT = {1: "cat", 2: "traffic light"}


def kinds(found):
    return [remark.kind for remark in found.remarks]


def test_round_trip():
    """Names survive with quotes, umlauts and newlines in them."""
    names = {1: 'a "quoted" name', 2: "größe", 3: "two\nlines"}
    assert label_map.parse_label_map(label_map.print_label_map(names), where="map") == names


@pytest.mark.parametrize(
    ("text", "line", "about"),
    [
        ('item { id: 1 name: "b" }\nitem { id: 0 name: "a" }', 2, "below 1"),
        ('item { id: 1 name: "a" }\nitem { id: 1 name: "b" }', 1, "several"),
        ('item { id: 1 name: "a" }\nitem { id: 2 name: "a" }', 2, "twice"),
        ("\n\nitem { id: 4 }", 3, "without a name"),
        ('\nitem { id: one name: "a" }', 2, "does not parse"),
        ("item {\n  id: 1\n  name: ‘a’\n}", 3, "does not parse"),
        ('item { id: 1 name: "a" colour: "red" }', 1, "colour"),
    ],
)
def test_what_upstream_would_misread(text, line, about):
    """The run's own label map is refused with the line."""
    with refused(SettingsError, where=f"label_map.pbtxt:{line}", about=about):
        label_map.parse_label_map(text, where="label_map.pbtxt")


def test_what_upstream_reads():
    """A display name beside the name, as many published maps have it; the background's item; ids with gaps."""
    text = (
        'item {\n  name: "/m/01g317"\n  id: 3\n  display_name: "person"\n}\nitem { id: 0 name: "background" }\n'
        'item { id: 1 name: "a" keypoints { id: 1 label: "nose" } frequency: RARE ancestor_ids: [1, 2] }\n'
    )
    assert label_map.parse_label_map(text, where="map") == {3: "/m/01g317", 1: "a"}


@pytest.mark.parametrize(
    ("quotes", "remarked"),
    [(q, False) for q in ("''", '""')] + [(q, True) for q in ("“”", "‘’", "„“", "«»", "””", "`´", '“"', "'’", "`'")],
)
@pytest.mark.parametrize("one_line", [False, True])
def test_quotes(quotes, remarked, one_line):
    """Quotes that a word processor turned, on one side or both, are read as quotes."""
    text = STANDARD.format(*quotes)
    found = label_map.decode_label_map((text.replace("\n", " ") if one_line else text).encode())
    assert found.names == CAT
    assert kinds(found) == [label_map_text.QUOTES] * (2 * remarked)


@pytest.mark.parametrize(
    "text",
    [
        STANDARD.format("", ""),
        '[{"id": 1, "name": "cat"}, {"id": 2, "name": "traffic light"},]',
        '{"item": [{"id": 1, "name": "cat"}, {"id": 2, "name": "traffic light"}]}',
        "item: {'id': 1, 'name': 'cat'},\nitem: {'id': '2', 'name': 'traffic light'},",
        "item {\n  id = 1\n  name = 'cat'\n}\nitem {\n  id = 2;\n  name = 'traffic light';\n}",
        "Item { ID: 1 Name: 'cat' } item { id: 2 name: 'traffic light' }",
        "item { id: 1 name 'cat' } item { id: 2 name: traffic light display_name: 'x' }",
    ],
)
def test_other_notations(text):
    """JSON, names without quotes, `=` and capitals are read as meant, and remarked with the line."""
    found = label_map.decode_label_map(text.encode())
    assert found.names == CAT and found.remarks
    assert all(remark.line for remark in found.remarks)


@pytest.mark.parametrize(
    "text",
    [
        STANDARD.format("'", "'").replace("\n", "\r\n").replace("  ", "\t"),
        "# of the set\n// and more\n" + STANDARD.format('"', '"') + "# item { id: 3 name: 'x' }",
        "item<id:1,name:'cat'>item<name:'traffic ' 'light';id:2>",
        "\ufeff" + STANDARD.format("'", "'"),
        r"item { id: 1 name: '\143at' } item { id: 2 name: 'traffic light' keypoints { id: 9 label: 'x' } }",
    ],
)
def test_what_the_format_allows(text):
    """Nothing is remarked where upstream reads the same, or only line ends and marks differ."""
    found = label_map.decode_label_map(text.encode())
    assert (found.names, found.remarks) == (CAT, ())


def test_apostrophes():
    """A quote within a name is part of it."""
    text = "item { id: 1 name: 'cat's toy' }\nitem { id: 2 name: ‘dog’s’ }\nitem { id: 3 name: \"a ‘b’ c\" }"
    assert label_map.decode_label_map(text.encode()).names == {1: "cat's toy", 2: "dog’s", 3: "a ‘b’ c"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("item {\n  id: 1\n  name: 'a\n}", 3),
        ("item {\n  id: 1\n  name: 'a'\n\nitem {\n  id: 2\n  name: 'b'\n}", 1),
        ("item { id: 1 name: 'a' item { id: 2 name: 'b' } }", 1),
        ("item { id: 1 name: 'a' }\n}", 2),
        ("item { id: 1 name: 'a' }\nitem { name: 'b' }", 2),
        ("\nitem { id: 1.5 name: 'b' }", 2),
        ("item {\n id: 1\n name:\n}", 3),
        ("item " + "{" * 1000, 1),
    ],
)
def test_what_can_not_be_meant(text, line):
    """Anything else is refused with its line."""
    with pytest.raises(LabelMapError) as caught:
        label_map.decode_label_map(text.encode())
    assert caught.value.line == line


def test_ids_and_names_are_checked():
    """Ids below 1 and ids of two classes stand for nothing alone; one name twice is one class; gaps are told."""
    text = "".join(
        f"item {{ id: {number} name: '{name}' }}\n"
        for number, name in [(0, "a"), (1, "b"), (2, "c"), (2, "d"), (5, "b"), (7, "e"), (7, "e"), (-1, "f")]
    )
    found = label_map.decode_label_map(text.encode())
    assert sorted(found.doubtful) == [-1, 0, 2]
    assert [item.name for item in found.items] == ["a", "b", "c", "d", "b", "e", "f"]
    assert sorted((r.line, r.kind) for r in found.remarks) == [
        (0, label_map.GAPS), (1, label_map.ID_BELOW_1), (3, label_map.ID_TWICE), (4, label_map.ID_TWICE),
        (5, label_map.NAME_TWICE), (7, label_map.NAME_TWICE), (8, label_map.ID_BELOW_1),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["background", "Background", "__background__", "???"])
def test_the_background(name):
    """An item of id 0 for no class is left out without a word."""
    found = label_map.decode_label_map(f"item {{ id: 0 name: '{name}' }} item {{ id: 1 name: 'cat' }}".encode())
    assert (found.names, found.remarks) == ({1: "cat"}, ())


def test_encodings():
    """A map in a code page is read and remarked, or refused where words of the records do not tell which it is."""
    text = "item { id: 1 name: '安全帽' }\nitem { id: 2 name: '反光衣' }\n"
    assert label_map.decode_label_map(text.encode("utf-16")).remarks == ()
    found = label_map.decode_label_map(text.encode("gbk"))
    assert found.names == {1: "安全帽", 2: "反光衣"} and kinds(found) == [label_map.ENCODING]
    short = "item { id: 1 name: '猫' }\nitem { id: 2 name: '人' }\n".encode("gbk")
    with pytest.raises(LabelMapError):
        label_map.decode_label_map(short)
    assert label_map.decode_label_map(short, known=["猫"]).names == {1: "猫", 2: "人"}


@pytest.mark.parametrize("text", ["", "model { ssd { num_classes: 3 } }", "node { name: 'a' op: 'Const' }", "a\nb"])
def test_other_files_of_that_ending(text):
    """A config or a graph is no label map, and no fault."""
    assert label_map.decode_label_map(text.encode()).items == ()


def test_names_for_people(tmp_path, caplog):
    """Of the names beside a model the display name counts; what was repaired is logged in a line for each kind."""
    path = tmp_path / "label_map.pbtxt"
    path.write_text(
        "item { id: 0 name: 'background' }\nitem { id: 1 name: '/m/1' display_name: “Cat” }\n"
        "item { id: 4 name: “dog” }\nitem { id: 4 name: 'cow' }\n"
    )
    with caplog.at_level(logging.WARNING):
        assert label_map.read_class_names(path) == {0: "background", 1: "Cat", 4: "dog"}
    assert len(caplog.records) == 2
    path.write_text("cat\ndog\n")
    with refused(SettingsError, where="label_map.pbtxt"):
        label_map.read_class_names(path)
