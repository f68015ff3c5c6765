"""`detect` on files, by a stand-in for TensorFlow Serving that finds red rectangles."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused
from serving_stand_in import serving
from videos import RATE, frames_of, turn, write_video

from app.detection.resolver import checkpoint_at
from app.errors import DatasetError, SettingsError
from app.jobs import detect as detect_job
from app.protos.label_map import read_class_names
from app.run.directory import Run
from app.run.files import write_json, write_text
from app.settings import Settings
from entrypoint.results import present

MAP = 'item { id: 1 name: "cat" }\nitem { id: 2 name: "/m/01" display_name: "Ampel, rot" }\n'


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def detect(server, tmp_path, monkeypatch):
    """Runs `detect` in an empty folder; returns the result and what its JSON holds."""
    monkeypatch.chdir(tmp_path)

    def run(*words, **settings):
        given = {"server": server.url, "models_dir": Path("models"), **settings}
        result = detect_job.run(Settings(input="\n".join(map(str, words)), **given))
        return result, json.loads((Path(result.folder) / "detections.json").read_text())

    return run


def test_images_become_drawn_images_json_and_csv(detect, red_image, tmp_path):
    """What is found is drawn and listed, named by the label map; nothing of a run is needed."""
    red_image(tmp_path / "pics/a/1.jpg")
    red_image(tmp_path / "pics/b/1.jpg", size=(80, 100), box=(0, 0, 50, 40))
    red_image(tmp_path / "pics/b/2.png", box=None)
    (tmp_path / "map.pbtxt").write_text(MAP)
    result, made = detect("pics", label_map="map.pbtxt")

    folder = tmp_path / "detected"
    assert Path(result.folder) == folder
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == {
        "a/1.jpg", "b/1.jpg", "b/2.png.jpg", "detections.json", "detections.csv",
    }  # fmt: skip
    assert (result.images, result.detections, result.classes) == (3, 2, {"Ampel, rot": 2})
    assert [image["file_name"] for image in made["images"]] == ["a/1.jpg", "b/1.jpg", "b/2.png"]
    assert [(image["width"], image["height"]) for image in made["images"]] == [(60, 40), (80, 100), (60, 40)]
    boxes = [annotation["bbox"] for annotation in made["annotations"]]
    assert np.allclose(boxes, [[20, 10, 30, 20], [0, 0, 40, 50]], atol=1)
    rows = list(csv.DictReader((folder / "detections.csv").open()))
    assert [(row["file_name"], row["class"]) for row in rows] == [("a/1.jpg", "Ampel, rot"), ("b/1.jpg", "Ampel, rot")]
    drawn, plain = (np.asarray(Image.open(path / "a/1.jpg").resize((60, 40))) for path in (folder, tmp_path / "pics"))
    assert np.abs(drawn.astype(int) - plain)[10:30, 20:50].max() > 60
    assert "found    2 on 3 images: Ampel, rot 2" in str(result)


def test_a_hostile_name_stays_in_its_line(detect, red_image, tmp_path):
    """A class's name with a line end and colours is escaped in both CSVs and in what is printed, and whole in JSON."""
    red_image(tmp_path / "1.jpg")
    write_video(tmp_path / "a.mp4", frames=2)
    (tmp_path / "map.pbtxt").write_text('item { id: 2 name: "\\033[31mred\\n\\342\\200\\250" }')
    result, made = detect("1.jpg", "a.mp4", label_map="map.pbtxt")
    assert made["categories"] == [{"id": 2, "name": "\x1b[31mred\n\u2028"}]
    printed = present(result, as_json=False)
    for text, lines in (
        (printed, 4),
        ((tmp_path / "detected/detections.csv").read_text(), 2),
        ((tmp_path / "detected/a.mp4.csv").read_text(), 3),
    ):
        assert "\\x1b[31mred\\n\\u2028" in text and "\x1b" not in text and len(text.splitlines()) == lines


def test_many_broken_files_are_one_line(detect, red_image, tmp_path):
    """Files that are skipped for one reason are a line with their number and three of them; the JSON has all."""
    red_image(tmp_path / "1.jpg")
    for number in range(30):
        (tmp_path / f"text{number:02}.jpg").write_text("hello")
    result, made = detect(".")
    line = next(line for line in str(result).splitlines() if line.startswith("skipped"))
    assert str(result).count("skipped") == 1 and "30 x image not readable: no image format" in line
    assert "text02.jpg and 27 more" in line and len(made["skipped"]) == 30


def test_exif_is_honoured(detect, red_image, tmp_path):
    """Boxes are those of the image as viewers show it: on its side, height and width change places."""
    exif = Image.Exif()
    exif[0x0112] = 6
    red_image(tmp_path / "turned.jpg", box=(0, 0, 20, 30), exif=exif)
    _, made = detect("turned.jpg")
    assert (made["images"][0]["width"], made["images"][0]["height"]) == (40, 60)
    assert made["annotations"][0]["bbox"] == pytest.approx([20, 0, 20, 30], abs=1)


def test_broken_images_are_skipped_and_listed(detect, red_image, tmp_path):
    """The others are worked on; each reason is in the result and in the JSON."""
    good, cut = red_image(tmp_path / "good.png"), red_image(tmp_path / "cut.png", size=(300, 300))
    cut.write_bytes(cut.read_bytes()[:300])
    (tmp_path / "text.jpg").write_text("hello")
    result, made = detect(good, cut, "text.jpg", "none.jpg")
    assert [Path(skip.file).name for skip in result.skipped] == ["none.jpg", "cut.png", "text.jpg"]
    assert [skip["reason"] for skip in made["skipped"]] == [skip.reason for skip in result.skipped]
    assert result.skipped[2].reason == "image not readable: no image format"
    assert result.images == len(made["images"]) == 1
    assert str(result).count("\nskipped") == 3


def test_a_video_becomes_a_drawn_video_and_csv(detect, server, tmp_path):
    """A frame a row of its CSV, with time and box; drawn at the size and rate of the source, in batches, in order."""
    write_video(tmp_path / "clips/deep/a.mov")
    (tmp_path / "map.pbtxt").write_text(MAP)
    result, made = detect("clips", label_map="map.pbtxt", detect_batch_size=5)
    folder = tmp_path / "detected"
    assert (result.images, result.videos, result.frames, result.classes) == (0, 1, 12, {"Ampel, rot": 12})
    assert sorted(server.requests) == [2, 5, 5]
    assert {path.name for path in folder.iterdir()} == {
        "a.mov.mp4",
        "a.mov.mp4.csv",
        "detections.json",
        "detections.csv",
    }
    assert made["images"] == made["annotations"] == []
    assert made["videos"] == [
        {"file_name": "a.mov", "width": 80, "height": 60, "frames": 12, "rate": 23.976, "drawn": "a.mov.mp4",
         "boxes": "a.mov.mp4.csv"},
    ]  # fmt: skip
    rows = list(csv.DictReader((folder / "a.mov.mp4.csv").open()))
    assert [(row["frame"], row["class"]) for row in rows] == [(str(number), "Ampel, rot") for number in range(12)]
    for number, row in enumerate(rows):
        assert float(row["time"]) == pytest.approx(number / float(RATE), abs=1e-4)
        assert [float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")] == pytest.approx(
            [20 + number, 10, 50 + number, 30], abs=1.5
        )
    drawn = frames_of(folder / "a.mov.mp4")
    assert len(drawn) == 12 and drawn[0].shape == (60, 80, 3)
    assert "found    12 on 12 frames of 1 videos: Ampel, rot 12" in str(result)


def test_boxes_of_a_turned_video(detect, tmp_path):
    """They are those of the video as players show it."""
    turn(write_video(tmp_path / "a.mp4", box=(0, 0, 20, 30), frames=3))
    _, made = detect("a.mp4")
    assert (made["videos"][0]["width"], made["videos"][0]["height"]) == (60, 80)
    row = next(csv.DictReader((tmp_path / "detected/a.mp4.csv").open()))
    assert [float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")] == pytest.approx([40, 0, 60, 30], abs=1.5)
    assert frames_of(tmp_path / "detected/a.mp4")[0].shape == (80, 60, 3)


def test_a_broken_video_does_not_end_the_work(detect, red_image, tmp_path):
    """It is one line and leaves no file; images and other videos are worked on."""
    good, cut = write_video(tmp_path / "p/good.mp4"), write_video(tmp_path / "p/cut.mp4", frames=40)
    cut.write_bytes(cut.read_bytes()[:2000])
    (tmp_path / "p/text.mkv").write_text("hello")
    red_image(tmp_path / "p/1.jpg")
    result, made = detect("p")
    assert (result.images, result.videos, result.detections) == (1, 1, 13)
    assert {Path(skip["file"]).name for skip in made["skipped"]} == {"cut.mp4", "text.mkv"}
    assert all(skip["reason"].startswith("video not readable: ") for skip in made["skipped"])
    assert sorted(path.name for path in (tmp_path / "detected").iterdir()) == [
        "1.jpg", "detections.csv", "detections.json", "good.mp4", "good.mp4.csv",
    ]  # fmt: skip
    good.unlink()
    (tmp_path / "p/1.jpg").unlink()
    with refused(DatasetError, flag="--input", about="detect"):
        detect("p")


@pytest.mark.parametrize(
    "url", ["http://a.b/c.jpg", "https://a.b/c.mp4", "rtsp://cam/1", "s3://bucket/x.png", "file:///x.jpg"]
)
def test_a_url_is_refused(detect, red_image, tmp_path, url):
    """What is to be fetched is named with what to do; nothing is worked on."""
    red_image(tmp_path / "1.jpg")
    with refused(SettingsError, where=url, flag="--input", about="URL"):
        detect("1.jpg", url)


@pytest.mark.parametrize("words", [["none.jpg"], ["text.jpg"], ["empty"], ["text.jpg", "empty"]])
def test_nothing_to_detect_on(detect, tmp_path, words):
    """Without a single image it is an error, and no folder is left."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.jpg").write_text("hello")
    with refused(DatasetError, flag="--input", about="detect"):
        detect(*words)
    assert not (tmp_path / "detected").exists()
    assert not list(tmp_path.glob(".detected*"))


def test_no_words_at_all(detect):
    """It says how images are given."""
    with refused(SettingsError, flag="--input", about="images"):
        detect()


def test_images_of_one_size_go_together(detect, server, red_image, tmp_path):
    """With a batch size of 3, seven images of two sizes are three requests; the order of results is that of files."""
    for number in range(7):
        red_image(tmp_path / f"p/{number}.png", size=(60, 40) if number % 2 else (40, 60), box=(number, 5, 30, 20))
    _, made = detect("p", detect_batch_size=3)
    assert sorted(server.requests) == [1, 3, 3]
    assert [annotation["bbox"][1] for annotation in made["annotations"]] == pytest.approx(range(7), abs=0.1)
    assert [image["file_name"] for image in made["images"]] == [f"{number}.png" for number in range(7)]


def test_results_replace_results_and_nothing_else(detect, red_image, tmp_path):
    """A second run takes the place of the first; a folder with anything else in it is left alone."""
    red_image(tmp_path / "pics/1.jpg")
    red_image(tmp_path / "other/2.jpg")
    detect("pics", output="out")
    detect("other", output="out")
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        "2.jpg",
        "detections.csv",
        "detections.json",
    ]
    with pytest.raises(SettingsError) as caught:
        detect("other", output="pics")
    assert "1.jpg" in caught.value.what and "--output" in caught.value.remedy
    with refused(SettingsError, where="/out/2.jpg", flag="--output"):
        detect("out/2.jpg", output="out")
    assert (tmp_path / "pics/1.jpg").exists() and (tmp_path / "out/2.jpg").exists()


def test_a_mounted_folder_is_filled(detect, red_image, tmp_path, monkeypatch):
    """A container's mount point can't be renamed; its contents are replaced instead."""
    red_image(tmp_path / "pics/a/1.jpg")
    out = tmp_path / "out"
    out.mkdir()
    kept = out.stat().st_ino
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == out)
    for _ in range(2):
        detect("pics", output="out")
        assert sorted(p.name for p in out.iterdir()) == ["1.jpg", "detections.csv", "detections.json"]
    assert out.stat().st_ino == kept


def test_thresholds_are_those_of_the_run(detect, red_image, tmp_path):
    """The F1-optimal score of the class in the run's best.json; the one that is given before that; else 0.4."""
    run = Run(tmp_path / "models/r")
    write_text(run.label_map, MAP)
    red_image(tmp_path / "1.png")
    assert detect("1.png", run="r")[0].thresholds == {"Ampel, rot": 0.4}
    details = {"classes": [{"name": "Ampel, rot", "f1_threshold": 0.95}]}
    write_json(run.best_card, {"step": 1, "checkpoint": "ckpt-1", "details": details})
    result, _ = detect("1.png", run="r")
    assert (result.detections, result.thresholds, result.folder) == (0, {"Ampel, rot": 0.95}, str(run.detected))
    assert detect("1.png", run="r", score_threshold=0.0)[0].detections == 1


@pytest.mark.parametrize("details", [None, [], {"classes": None}, {"classes": [{"f1_threshold": 1}, 3]}])
def test_a_card_without_thresholds(details):
    """Whatever an older evaluation left, it is no error."""
    from app.detection import sidecar_files

    assert sidecar_files.thresholds_of_card({"details": details}) == {}


def test_detector_and_server_exclude_each_other(detect, red_image, tmp_path):
    """Two answers to one question are refused."""
    red_image(tmp_path / "1.png")
    with refused(SettingsError, flag="--detector", about="both given"):
        detect("1.png", detector="x.pb")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("zoo", "zoo/checkpoint/ckpt-0"),
        ("zoo/checkpoint", "zoo/checkpoint/ckpt-0"),
        ("zoo/checkpoint/ckpt-0", "zoo/checkpoint/ckpt-0"),
        ("zoo/checkpoint/ckpt-0.index", "zoo/checkpoint/ckpt-0"),
        ("zoo/checkpoint/ckpt-0.data-00000-of-00001", "zoo/checkpoint/ckpt-0"),
        ("export", None),
        ("graph.pb", None),
        ("none", None),
    ],
)
def test_what_is_a_checkpoint(tmp_path, given, expected):
    """Any way to name one; an export that has a checkpoint beside its SavedModel is taken for the SavedModel."""
    for name in ("zoo/checkpoint/ckpt-0.index", "export/checkpoint/ckpt-0.index", "export/saved_model/saved_model.pb"):
        write_text(tmp_path / name, "")
    for name in ("graph.pb", "zoo/pipeline.config"):
        write_text(tmp_path / name, "")
    found = checkpoint_at(tmp_path / given)
    assert (found and found.prefix) == (expected and tmp_path / expected)


def test_a_checkpoint_that_can_not_be_used(tmp_path):
    """Several to choose from, or none of the model's shape beside it: told before TensorFlow is loaded."""
    for step in (1, 2):
        write_text(tmp_path / f"ckpt-{step}.index", "")
    with pytest.raises(SettingsError) as caught:
        checkpoint_at(tmp_path)
    assert caught.value.where == str(tmp_path) and "--detector" in caught.value.remedy
    with pytest.raises(SettingsError) as caught:
        checkpoint_at(tmp_path / "ckpt-1")
    assert caught.value.where == str(tmp_path / "ckpt-1")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"label_map.pbtxt": MAP}, {1: "cat", 2: "Ampel, rot"}),
        ({"mscoco_label_map.pbtxt": MAP}, {1: "cat", 2: "Ampel, rot"}),
        ({"card.json": '{"classes": ["a", "b"]}'}, {1: "a", 2: "b"}),
        ({"card.json": '{"classes": {"3": "c"}}'}, {3: "c"}),
        ({"card.json": "[]", "best.json": "{}"}, {}),
        ({"a_label_map.pbtxt": "", "b_label_map.pbtxt": ""}, {}),
    ],
)
def test_names_beside_a_model(tmp_path, files, expected):
    """The label map, else the card; two label maps are none, since neither is named."""
    from app.detection import sidecar_files

    for name, text in files.items():
        write_text(tmp_path / name, text)
    beside = sidecar_files.label_map(tmp_path / "graph.pb")
    cards = map(sidecar_files.names_of_card, sidecar_files.cards(tmp_path / "graph.pb"))
    assert (read_class_names(beside) if beside else next(filter(None, cards), {})) == expected
