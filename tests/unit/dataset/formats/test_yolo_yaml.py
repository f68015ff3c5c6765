"""YOLO's data.yaml and lists of names."""

import time

import pytest
from refusals import refused

from app.dataset import faults
from app.dataset.formats import registry, yolo, yolo_yaml
from app.dataset.preparation import prepare
from app.errors import DatasetError
from app.protos import label_map


@pytest.fixture
def made(tmp_path, image):
    """`made(text, numbers)` is a YOLO set with that data.yaml and a box of each class number in every image."""

    def make(text, numbers=(0, 1), name="data.yaml", encoding="utf-8"):
        for part in ("train", "val"):
            for seed in (0, 1):
                image(tmp_path / "set" / "images" / part / f"{seed}.jpg", seed=10 * len(part) + seed)
                labels = tmp_path / "set" / "labels" / part
                labels.mkdir(parents=True, exist_ok=True)
                (labels / f"{seed}.txt").write_text("".join(f"{n} 0.5 0.5 0.25 0.25\n" for n in numbers))
        (tmp_path / "set" / name).write_bytes(text.encode(encoding))
        return tmp_path / "set"

    return make


SPLITS = "train: images/train\nval: images/val\n"


def kinds(card):
    return {row.kind: (row.action, row.count) for row in card.faults}


def test_names_as_they_are_written(made, tmp_path):
    """YAML's booleans, nulls, numbers and dates are names of classes here."""
    names = [
        "on",
        "off",
        "yes",
        "No",
        "true",
        "~",
        "null",
        "010",
        "1.0",
        "1e3",
        "0x10",
        "2024-01-01",
        "1_000",
        "12:30",
        ".inf",
    ]
    source = made(f"{SPLITS}nc: {len(names)}\nnames: [{', '.join(names)}]\n", range(len(names)))
    card = prepare(source, tmp_path / "records")
    assert card.classes == tuple(names) and card.faults == ()
    source = made(SPLITS + "names:\n" + "".join(f"  {n}: {name}\n" for n, name in enumerate(names)), (7,))
    assert prepare(source, tmp_path / "records").classes == tuple(names)


@pytest.mark.parametrize(
    "names",
    [
        "names: [cat, dog]", "names:\n- cat\n- dog", "names:\n  0: cat\n  1: dog", "names: {1: dog, 0: cat}",
        "names: ['cat', \"dog\"]", "x: &a [cat, dog]\nnames: *a", "x: &a\n  names: [cat, dog]\n<<: *a",
        "names: |\n  cat\n  dog", "names: lists/all.names", "names: ../lists/all.names  # there", "names: [cat,dog,]",
        "names: !!python/tuple [cat, dog]",
    ],
)  # fmt: skip
def test_forms_of_names(made, tmp_path, names):
    """Lists, tables by number, anchors, a text of lines, and the path of a file of names."""
    source = made(f"{SPLITS}{names}\nnc: 2\n")
    (source / "lists").mkdir()
    (source / "lists" / "all.names").write_text("cat\ndog\n")
    card = prepare(source, tmp_path / "records")
    assert (card.classes, card.faults) == (("cat", "dog"), ())


@pytest.mark.parametrize(
    ("text", "line", "about"),
    [
        ("train:images/train\nval:images/val\n\nnc:1\n\nnames:['duck']\n", 1, "YAML"),
        (SPLITS + "names:['cat','dog']\n", 3, "YAML"),
        (SPLITS + "names: [cat, dog\n", 4, "YAML"),
        (SPLITS + "names:\n\t- cat\n", 4, "YAML"),
        (SPLITS + "names: [cat, dog]\n\tnc: 2\n", 4, "YAML"),
        ('train: "C:\\data\\train"\nnames: [cat, dog]\n', 1, "YAML"),
        (SPLITS + "names: [cat, dog]\n  nc: 2\n", 4, "YAML"),
        (SPLITS + "names: [cat]\n---\nnames: [dog]\n", 4, "YAML"),
        (SPLITS + "names: [cat, \x01]\n", 3, "YAML"),
        (SPLITS + "names:\n", 3, "empty"),
        (SPLITS + "names: []\n", 3, "empty"),
        (SPLITS + "names: [cat]\nnames: [dog]\n", 4, "twice"),
        (SPLITS + "names:\n  0: cat\n  0: dog\n", 5, "twice"),
        (SPLITS + "names: {cat: 0, dog: 1}\n", 3, "cat"),
        (SPLITS + "names: [[cat], dog]\n", 3, "text"),
        (SPLITS + "names: [cat: x, dog]\n", 3, "text"),
        (SPLITS + "names: gone.names\n", 3, "gone.names"),
        (SPLITS + "names: " + "[" * 3000 + "\n", None, "YAML"),
    ],
)
def test_faults_are_refused_with_the_line(made, tmp_path, text, line, about):
    """It is said that it is YAML that does not parse, or which key is wrong; another format is not tried."""
    source = made(text)
    where = "" if line is None else f"data.yaml line {line}"
    with refused(DatasetError, where=where, about=about):
        prepare(source, tmp_path / "records")


def test_aliases_are_not_multiplied(made, tmp_path):
    """Aliases of aliases, which would be a billion names, are refused at once."""
    bomb = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9) if n else 'cat'}]\n" for n in range(10))
    started = time.monotonic()
    with refused(DatasetError, where="line 12"):
        prepare(made(f"{SPLITS}# a bomb\n{bomb}names: *x9\n"), tmp_path / "records")
    merged = "".join(f"x{n}: &x{n}\n  <<: [{', '.join([f'*x{n - 1}'] * 9) if n else ''}]\n" for n in range(10))
    with refused(DatasetError, about="entries"):
        prepare(made(f"{SPLITS}{merged}<<: *x9\nnames: [cat, dog]\n"), tmp_path / "records")
    assert time.monotonic() - started < 5


def test_what_can_be_read_is_said(made, tmp_path):
    """A count that differs and a name given twice are counted; numbers without a name lose their boxes."""
    card = prepare(made(SPLITS + "nc: 5\nnames: [cat, dog, cat]\n", (0, 1, 2)), tmp_path / "records")
    assert kinds(card) == {faults.LABEL_COUNT: ("kept", 1), faults.LABEL_TWICE: ("fixed", 1)}
    assert card.classes == ("cat", "dog") and card.train.boxes_per_class["cat"] == 4
    card = prepare(made(SPLITS + "nc: 4\nnames: {0: cat, 3: dog}\n", (0, 2, 3)), tmp_path / "records")
    assert kinds(card) == {faults.LABEL_UNKNOWN: ("dropped", 4)} and card.classes == ("cat", "dog")


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", ["data.yaml", "classes.txt"])
def test_encodings(made, tmp_path, encoding, name):
    """Names in a code page are found and that is said; where they can't be told the file is refused."""
    before = SPLITS if name == "data.yaml" else ""
    form = SPLITS + "names: [{}, {}]\n" if before else "{}\n{}\n"
    card = prepare(made(form.format("安全帽", "反光衣"), name=name, encoding=encoding), tmp_path / "records")
    assert card.classes == ("安全帽", "反光衣")
    assert kinds(card) == ({label_map.ENCODING: ("fixed", 1)} if encoding == "gbk" else {})
    if encoding == "gbk":
        with refused(DatasetError, where=f"{name} line {3 if before else 1}"):
            prepare(made(form.format("人", "cat"), name=name, encoding=encoding), tmp_path / "records")


def test_an_empty_line_among_names(made, tmp_path):
    """Programs differ in whether it counts, so it is refused; at the end it is nothing."""
    with refused(DatasetError, where="classes.txt line 2"):
        prepare(made("cat\n\ndog\n", name="classes.txt"), tmp_path / "records")
    assert prepare(made("cat\ndog\n\n\n", name="classes.txt"), tmp_path / "records").classes == ("cat", "dog")


def test_other_yaml_files(made, tmp_path):
    """A file of settings beside a set, broken or not, is no data.yaml."""
    source = made(SPLITS + "names: [cat, dog]\n")
    (source / "a.yaml").write_text("lr: 0.1\n\tbad: [\n")
    (source / "b.yml").write_text("epochs: 3\n")
    assert registry.resolve_reader(source)[0] is yolo
    assert prepare(source, tmp_path / "records").classes == ("cat", "dog")


def test_a_class_is_a_line_of_the_file(tmp_path):
    """What only Unicode calls a line's end does not move the numbers of the classes behind it."""
    (tmp_path / "classes.txt").write_bytes("a\u2028b\r\nc\x85\rd\x0b\ne".encode())
    assert list(yolo_yaml.name_list(tmp_path / "classes.txt")[0]) == [0, 1, 2, 3]
