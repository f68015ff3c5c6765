"""Reading what Datumaro reads."""

import subprocess
import sys

import pytest
from command import detbox
from refusals import refused

from app.dataset import records
from app.dataset.formats import datumaro, registry
from app.dataset.preparation import prepare
from app.errors import DatasetError

needs_datumaro = pytest.mark.skipif(not datumaro.is_installed(), reason="needs the extra `datumaro`")


@pytest.fixture
def cvat(tmp_path, image):
    """CVAT's XML for images, with boxes and outlines, and an image of nothing."""
    shapes = (
        '<box label="big cat" occluded="0" xtl="8" ytl="6" xbr="40" ybr="30"/>'
        '<polygon label="dog" occluded="0" points="10,10;30,10;30,20;10,20"/>'
    )
    for number in range(4):
        image(tmp_path / "cvat" / "images" / f"p{number}.jpg", seed=number)
    images = "".join(
        f'<image id="{n}" name="p{n}.jpg" width="64" height="48">{shapes if n else ""}</image>' for n in range(4)
    )
    labels = "".join(f"<label><name>{name}</name></label>" for name in ("big cat", "dog"))
    (tmp_path / "cvat" / "annotations.xml").write_text(
        f"<annotations><version>1.1</version><meta><task><labels>{labels}</labels></task></meta>{images}</annotations>"
    )
    return tmp_path / "cvat"


@needs_datumaro
def test_cvat(cvat, tmp_path):
    """Recognised, read and held out as any set is; outlines have a box around them, and a mask where asked."""
    card = prepare(cvat, tmp_path / "records", masked=True)
    assert card.format == "cvat" and "recognised and read by Datumaro" in card.reason
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
def test_kitti_by_name(tmp_path, image):
    """A format that can't be told from others is read when it is named; regions that KITTI marks as of no class go."""
    for number in range(3):
        image(tmp_path / "set" / "training" / "image_2" / f"{number:06}.png", seed=number)
        label = tmp_path / "set" / "training" / "label_2" / f"{number:06}.txt"
        label.parent.mkdir(exist_ok=True)
        rest = "1.4 1.6 4.0 -2 1 40 -1.5"
        label.write_text(f"Car 0 0 -1.57 8 6 28 16 {rest}\nDontCare -1 -1 -10 30 20 40 30 {rest}\n")
    with refused(DatasetError, where="/set", about="format"):
        prepare(tmp_path / "set", tmp_path / "records")
    card = prepare(tmp_path / "set", tmp_path / "records", format="kitti_detection")
    assert card.classes == ("Car",) and card.train.boxes + card.eval.boxes == 3


@needs_datumaro
def test_what_datumaro_refuses_is_one_line(cvat, tmp_path):
    """Its errors, of whatever kind, name the set and the format; a name that it does not know has the nearest."""
    (cvat / "images" / "p3.jpg").unlink()
    with refused(DatasetError, where="/cvat", flag="--format", about="p3.jpg"):
        prepare(cvat, tmp_path / "records")
    (cvat / "annotations.xml").write_text("<annotations><image")
    with refused(DatasetError, where="/cvat", flag="--format") as caught:
        prepare(cvat, tmp_path / "records", format="cvat")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 4
    with refused(DatasetError, where="/cvat", flag="--format=kitti"):
        registry.resolve_reader(cvat, "kiti")
    assert not (tmp_path / "records").exists()


@needs_datumaro
def test_several_of_datumaros_formats_are_named(cvat, monkeypatch):
    """Where Datumaro finds several equally likely, none is taken."""
    monkeypatch.setattr(datumaro, "recognise", lambda source: ("cvat", "label_me"))
    with refused(DatasetError, where="/cvat", flag="--format", about="label_me"):
        registry.resolve_reader(cvat)


def test_without_datumaro(cvat, monkeypatch):
    """What nothing of ours reads is refused with the command that installs the extra."""
    monkeypatch.setattr(datumaro, "is_installed", lambda: False)
    for name in ("auto", "cvat"):
        with refused(DatasetError, where="/cvat", flag="--extra datumaro") as caught:
            registry.resolve_reader(cvat, name)
        assert caught.value.exit_code == 4
    with refused(DatasetError, where="/cvat", flag="--format=tfrecord"):
        registry.resolve_reader(cvat, "tfrecords")


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
