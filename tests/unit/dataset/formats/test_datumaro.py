"""Reading what Datumaro reads."""

import json
import subprocess
import sys

import pytest
from command import detbox
from refusals import refused

from app.dataset import faults, records
from app.dataset.formats import datumaro, registry
from app.dataset.preparation import prepare
from app.errors import DatasetError

needs_datumaro = pytest.mark.skipif(not datumaro.is_installed(), reason="needs the extra `datumaro`")


@pytest.fixture
def foreign(tmp_path, image):
    """A set in Datumaro's own JSON, with boxes and outlines, and an image of nothing."""
    box = {"type": "bbox", "label_id": 0, "bbox": [8, 6, 32, 24]}
    outline = {"type": "polygon", "label_id": 1, "points": [10, 10, 30, 10, 30, 20, 10, 20]}
    shapes = [{"id": n, "group": 0, "attributes": {}, "z_order": 0, **shape} for n, shape in enumerate((box, outline))]
    for number in range(4):
        image(tmp_path / "foreign" / "images" / "default" / f"p{number}.jpg", seed=number)
    items = [
        {"id": f"p{n}", "annotations": shapes if n else [], "image": {"path": f"p{n}.jpg", "size": [48, 64]}}
        for n in range(4)
    ]
    labels = [{"name": name, "parent": "", "attributes": []} for name in ("big cat", "dog")]
    file = tmp_path / "foreign" / "annotations" / "default.json"
    file.parent.mkdir()
    content = {"info": {}, "categories": {"label": {"labels": labels, "attributes": []}}, "items": items}
    file.write_text(json.dumps(content))
    return tmp_path / "foreign"


@needs_datumaro
def test_what_datumaro_recognises(foreign, tmp_path):
    """Recognised, read and held out as any set is; outlines have a box around them, and a mask where asked."""
    card = prepare(foreign, tmp_path / "records", masked=True)
    assert card.format == "datumaro" and "recognised and read by Datumaro" in card.reason
    assert card.classes == ("big cat", "dog")
    assert (card.train.images + card.eval.images, card.train.boxes + card.eval.boxes) == (4, 6)
    assert card.faults == ()
    row = next(
        r for r in records.read(sorted((tmp_path / "records").glob("*.tfrecord"))) if r["image/object/class/text"]
    )
    dog = row["image/object/class/text"].index(b"dog")
    corners = [row[f"image/object/bbox/{key}"][dog] for key in ("xmin", "ymin", "xmax", "ymax")]
    assert corners == pytest.approx([10 / 64, 10 / 48, 30 / 64, 20 / 48])
    assert card.masks and len(row["image/object/mask"]) == 2


@needs_datumaro
def test_shapes_without_a_box(foreign, tmp_path):
    """A line, whatever Datumaro makes of it, is lost with its image: that is no background."""
    file = foreign / "annotations" / "default.json"
    content = json.loads(file.read_text())
    line = {"id": 0, "type": "polyline", "label_id": 1, "points": [1, 1, 9, 9], "group": 0, "attributes": {}}
    content["items"][0]["annotations"] = [{**line, "z_order": 0}]
    file.write_text(json.dumps(content))
    card = prepare(foreign, tmp_path / "records")
    assert card.train.images + card.eval.images == 3
    assert {f.kind for f in card.faults} == {faults.BOX_UNREADABLE, faults.IMAGE_UNLABELLED}


@needs_datumaro
def test_what_datumaro_refuses_is_one_line(foreign, tmp_path):
    """Its errors, of whatever kind, name the set and the format; a name that it does not know has the nearest."""
    (foreign / "annotations" / "default.json").write_text('{"items": [{')
    with refused(DatasetError, where="/foreign", flag="--format") as caught:
        prepare(foreign, tmp_path / "records", format="datumaro")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 4
    with refused(DatasetError, where="/foreign", flag="--format=kitti"):
        registry.resolve_reader(foreign, "kiti")
    assert not (tmp_path / "records").exists()


@needs_datumaro
def test_several_of_datumaros_formats_are_named(foreign, monkeypatch):
    """Where Datumaro finds several equally likely, none is taken."""
    monkeypatch.setattr(datumaro, "recognise", lambda source: ("vott_csv", "label_me"))
    with refused(DatasetError, where="/foreign", flag="--format", about="label_me"):
        registry.resolve_reader(foreign)


def test_without_datumaro(foreign, monkeypatch):
    """What nothing of ours reads is refused with the command that installs the extra."""
    monkeypatch.setattr(datumaro, "is_installed", lambda: False)
    for name in ("auto", "vott_csv"):
        with refused(DatasetError, where="/foreign", flag="--extra datumaro") as caught:
            registry.resolve_reader(foreign, name)
        assert caught.value.exit_code == 4
    with refused(DatasetError, where="/foreign", flag="--format=tfrecord"):
        registry.resolve_reader(foreign, "tfrecords")


def test_our_own_formats_import_nothing_of_it(voc, tmp_path):
    """Datumaro takes seconds to import: a set of our own formats does not wait for it."""
    root = voc({"a": [("dog", 1, 1, 9, 9)], "b": [("dog", 1, 1, 9, 9)]})
    program = (
        "import sys; from pathlib import Path; from app.dataset.preparation import prepare;"
        "prepare(Path(sys.argv[1]), Path(sys.argv[2])); print('datumaro' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root), str(tmp_path / "r")], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "False", done.stderr


def test_nothing_but_the_error(tmp_path):
    """What Datumaro imports (TensorFlow) says on standard error does not come before the one line."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("hello")
    made = detbox("prepare", f"--dataset={tmp_path / 'set'}", f"--models_dir={tmp_path / 'models'}")
    assert made.returncode == 4 and len(made.stderr.splitlines()) == 1, made.stderr
