"""The command `inspect`, from a folder to a page."""

import json
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from entrypoint.__main__ import run as detbox

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def inspect(tmp_path, capsys):
    """Runs `inspect`; gives exit code, stdout, last line of stderr, and the folder that it writes by default."""

    def run(*flags, command="inspect"):
        capsys.readouterr()
        code = detbox([command, f"--models_dir={tmp_path / 'models'}", "--run=r", *flags])
        caught = capsys.readouterr()
        return code, caught.out, (caught.err.strip().splitlines() or [""])[-1], tmp_path / "models" / "r" / "inspect"

    return run


@pytest.fixture
def dataset(tmp_path):
    """Six images of small boxes in two splits; names and a class that are hostile to a page, a box of no size."""
    for split, numbers in {"train": range(4), "val": range(4, 6)}.items():
        folder = tmp_path / f"set {HOSTILE.replace('/', '')}" / split
        folder.mkdir(parents=True)
        names = {n: f"{n}<img src=x onerror=y>&'\".jpg" for n in numbers}
        for n, name in names.items():
            Image.effect_noise((96, 64), 60 + n).convert("RGB").save(folder / name)
        boxes = [[8, 8, 6, 5], [30, 20, 0, 4] if split == "val" else [30, 20, 5, 4]]
        document = {
            "images": [{"id": n, "file_name": name, "width": 96, "height": 64} for n, name in names.items()],
            "annotations": [
                {"id": 10 * n + i, "image_id": n, "category_id": 1 + i, "bbox": box}
                for n in numbers
                for i, box in enumerate(boxes)
            ],
            "categories": [{"id": 1, "name": HOSTILE}, {"id": 2, "name": "Größe 狗"}],
        }
        (folder / "_annotations.coco.json").write_text(json.dumps(document))
    return folder.parent


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def test_a_page_a_sheet_and_figures(inspect, dataset):
    """All three are written; the figures are what --json says; the terminal names what is wrong."""
    code, out, _, folder = inspect(f"--dataset={dataset}")
    assert code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "inspect.json", "sheet.jpg"]
    assert "2 x box of zero size" in out and "match no anchor" in out and "--image_size=" in out
    assert "never evaluated on, for want of boxes in val: Größe 狗" in out
    code, out, _, _ = inspect(f"--dataset={dataset}", "--json=true")
    figures = json.loads((folder / "inspect.json").read_text("utf-8"))
    assert figures == json.loads(out)
    assert (figures["images"], figures["boxes"], figures["boxes_annotated"]) == (6, 10, 12)
    assert [(split["name"], split["boxes"]) for split in figures["splits"]] == [("train", 8), ("val", 2)]
    assert sum(boxes for _, _, boxes, _ in figures["boxes_seen"]["sizes"]) == 10
    assert Image.open(folder / "sheet.jpg").size[0] > 1000


def test_hostile_names_stay_text(inspect, dataset):
    """Names of files, folders and classes are shown as they are and add nothing to the page."""
    *_, folder = inspect(f"--dataset={dataset}")
    page = Seen((folder / "index.html").read_text("utf-8"))
    assert "script" not in page.tags and "onerror" not in page.attributes
    assert page.text.count(HOSTILE) >= 2 and "Größe 狗" in page.text and "<img src=x onerror=y>" in page.text
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", (folder / "index.html").read_text("utf-8"))


def test_records_are_looked_at_as_the_set_is(inspect, dataset):
    """After `prepare`, the run's records have the boxes of the set, by class and split; nothing is lost on the way."""
    *_, folder = inspect(f"--dataset={dataset}")
    whole = json.loads((folder / "inspect.json").read_text("utf-8"))
    assert inspect(f"--dataset={dataset}", command="prepare")[0] == 0
    for flags in ([], [f"--dataset={folder.parent}"], [f"--dataset={folder.parent / 'records'}"]):
        assert inspect(*flags)[0] == 0
        records = json.loads((folder / "inspect.json").read_text("utf-8"))
        assert records["format"] == "records" and records["boxes_annotated"] == 12
        assert records["model"] == str(folder.parent / "pipeline.config")
        there = {row["name"]: list(row["boxes_per_split"].values()) for row in records["classes"]}
        assert there == {row["name"]: list(row["boxes_per_split"].values()) for row in whole["classes"]}
        assert records["boxes_seen"] == whole["boxes_seen"]


def test_what_is_proposed_helps(inspect, dataset):
    """The flag of the best remedy, given to `inspect` itself, leads to the share that it promises."""
    *_, folder = inspect(f"--dataset={dataset}", "--model=ssd_mobilenet_v2_fpnlite_320")
    before = json.loads((folder / "inspect.json").read_text("utf-8"))["anchors"]
    best = before["remedies"][0]
    code, *_ = inspect(f"--dataset={dataset}", "--model=ssd_mobilenet_v2_fpnlite_320", best["flag"].replace("'", ""))
    after = json.loads((folder / "inspect.json").read_text("utf-8"))["anchors"]
    assert code == 0 and after["matched"] == pytest.approx(best["share"]) and after["matched"] > before["matched"]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--dataset=nowhere"], 4, "--dataset"),
        (["--model=no-such"], 3, "no-such"),
        (["--model=efficientdet_d4_coco17_tpu-32"], 3, "detbox zoo fetch"),
        (["--image_size=none"], 3, "--image_size"),
        (["--config_override=nonsense: 1"], 3, "config_override"),
        (["--format=voc"], 4, "voc"),
        (["--eval_split=none-such"], 4, "none-such"),
    ],
)
def test_bad_input_is_one_line(inspect, dataset, flags, code, words):
    """With the remedy, and nothing is written."""
    got, _, line, folder = inspect(f"--dataset={dataset}", *flags)
    assert (got, words in line) == (code, True), line
    assert not folder.exists()


def test_a_folder_of_other_things_is_not_replaced(inspect, dataset, tmp_path):
    """--output names a new folder, an empty one, or that of an earlier inspection."""
    target = tmp_path / "mine"
    for _ in range(2):
        assert inspect(f"--dataset={dataset}", f"--output={target}")[0] == 0
    (target / "thesis.tex").write_text("years of work")
    code, _, line, default = inspect(f"--dataset={dataset}", f"--output={target}")
    assert code == 3 and "thesis.tex" in line and (target / "thesis.tex").exists()
    assert not default.exists()


def test_a_set_of_nothing_but_empty_images(inspect, dataset):
    """No box, no class on an image: a page all the same."""
    for file in dataset.glob("*/_annotations.coco.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    code, _, _, folder = inspect(f"--dataset={dataset}")
    figures = json.loads((folder / "inspect.json").read_text("utf-8"))
    assert code == 0 and figures["boxes_seen"] is None and len(figures["images_without_boxes"]) == 6
    assert Seen((folder / "index.html").read_text("utf-8")).text


@pytest.mark.parametrize(
    ("name", "images", "boxes", "classes"),
    [("bccd", 364, 4888, 3), ("rbc_coco", 240, 5638, 2), ("wheels_yolo", 50, 231, 2)],
)
def test_public_sets(inspect, test_data, name, images, boxes, classes):
    """The counts of real sets are those of their own descriptions; BCCD's two empty boxes are named."""
    code, _, _, folder = inspect(f"--dataset={test_data / name}")
    figures = json.loads((folder / "inspect.json").read_text("utf-8"))
    assert code == 0
    assert (figures["images"], figures["boxes_annotated"], len(figures["classes"])) == (images, boxes, classes)
    named = {example.split(":")[0] for row in figures["faults"] for example in row["examples"]}
    empty = {"JPEGImages/BloodImage_00338.jpg", "JPEGImages/BloodImage_00343.jpg"}
    assert named == (empty if name == "bccd" else set())
    # Blood smears are much alike and no two are the same; the wheels are frames of films.
    assert bool(figures["duplicates"]) == (name == "wheels_yolo")
