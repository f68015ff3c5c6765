"""Recognising formats."""

import os

import pytest
from refusals import refused

from app.dataset.annotation import AnnotatedImage
from app.dataset.formats import datumaro, registry
from app.errors import DatasetError

BOX = ("dog", 1, 1, 9, 9)


def test_auto_says_what_and_why(voc, tmp_path, coco):
    """The format is named together with what was found."""
    reader, reason = registry.resolve_reader(voc({"a": [BOX]}, {"train": ["a"]}))
    assert reader.NAME == "voc"
    assert "1 XML file" in reason and "Annotations/a.xml" in reason and "ImageSets" in reason
    coco(tmp_path / "c" / "train" / "_annotations.coco.json", {}, [], [])
    reader, reason = registry.resolve_reader(tmp_path / "c")
    assert reader.NAME == "coco"
    assert "train/_annotations.coco.json" in reason


def test_ambiguous_is_refused_until_named(voc, coco):
    """Two formats in one folder are no ground for a guess; naming one settles it."""
    root = voc({"a": [BOX]})
    coco(root / "all.json", {}, [], [])
    with refused(DatasetError, where="/voc", flag="--format", about="coco") as caught:
        registry.resolve_reader(root)
    assert caught.value.exit_code == 4
    assert registry.resolve_reader(root, "coco")[0].NAME == "coco"


def test_what_was_made_from_annotations_is_left_out(voc):
    """A CSV that lies in a set of annotation files is left out, and the reason says so; it can be named."""
    root = voc({"a": [BOX]})
    (root / "labels.csv").write_text("filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,20,20,dog,1,1,9,9\n")
    reader, reason = registry.resolve_reader(root)
    assert reader.NAME == "voc" and "csv beside it left out" in reason and "labels.csv" in reason
    assert registry.resolve_reader(root, "csv")[0].NAME == "csv"


def test_csv_and_records_alone_are_no_ground_for_a_guess(tmp_path, monkeypatch):
    """Neither is what the other was made from."""
    for known in registry.READERS:
        found = "found" if known in registry._DERIVED else ""
        monkeypatch.setattr(registry.READERS[known], "recognise", lambda source, found=found: found)
    with refused(DatasetError, flag="--format", about="csv: found; tfrecord: found"):
        registry.resolve_reader(tmp_path)


def test_what_a_set_was_converted_from_is_left_out(voc, coco):
    """CVAT's own XML beside the COCO or VOC that it exported: that is taken, and it is said what was not."""
    root = voc({"a": [BOX]})
    (root / "annotations.xml").write_text("<annotations><version>1.1</version></annotations>")
    reader, reason = registry.resolve_reader(root)
    assert reader.NAME == "voc" and "cvat beside it left out (<annotations> in annotations.xml)" in reason
    assert registry.resolve_reader(root, "cvat")[0].NAME == "cvat"


def test_unknown_names_the_candidates(tmp_path):
    """The error lists what can be read and what was found instead."""
    (tmp_path / "notes.txt").write_text("hello")
    with refused(DatasetError, about="notes.txt"):
        registry.resolve_reader(tmp_path)
    with refused(DatasetError, where="/nowhere", flag="--dataset"):
        registry.resolve_reader(tmp_path / "nowhere")


def test_a_wrong_name_is_told(voc):
    """A format that is named but not there is refused, with what it looks like."""
    with refused(DatasetError, where="/voc", flag="--format", about="voc"):
        registry.resolve_reader(voc({"a": [BOX]}), "coco")
    with refused(DatasetError, where="/voc", flag="--format", about="'tfds'"):
        registry.resolve_reader(voc({"a": [BOX]}), "tfds")


def test_a_folder_whose_name_is_no_utf8(tmp_path):
    """No pipeline.config could name it: refused, in a line that can be printed."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    with refused(DatasetError, where="/caf\\udce9'", about="no UTF-8") as caught:
        registry.resolve_reader(folder)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({"download/a.xml": "<annotation></annotation>", "notes.md": ""}, "download/ looks like voc: --dataset="),
        ({"a.txt": "0 .5 .5 .1 .1\n", "readme.txt": "hello"}, "a classes.txt"),
        ({"boxes.csv": "a.jpg,1,2,3,4,dog\n"}, "columns filename, class, xmin, ymin, xmax, ymax"),
        ({"set.zip": "PK"}, "unpack the archive"),
        ({"train.record": "no record"}, "image/encoded"),
        ({"a.jpg": ""}, "docs/datasets.md"),
        ({"a.jpg": "", "a.csv": "image,label,xmin,ymin,xmax,ymax\n"}, "image to filename, label to class"),
        ({"a.csv": "TRAIN,gs://b/a.jpg,dog,0.1,0.1,,,0.5,0.5,,\n"}, "AutoML"),
        ({"a.csv": "step,loss\n"}, "columns filename"),
        ({"x/a.ndjson": "{}"}, "NDJSON"),
        ({"data/train-0.parquet": ""}, "Hugging Face"),
        ({"train/metadata.jsonl": ""}, "imagefolder"),
        ({"t-export.json": "{}"}, "vott_json"),
        ({"labelTxt/P1.txt": "imagesource:GoogleEarth\ngsd:0.1\n"}, "DOTA"),
        ({"labelTxt/P1.txt": "1 2 3 4 5.5 6 7 8 small-vehicle 1\n"}, "DOTA"),
        ({"gt/gt.txt": "1,2,794.2,47.5,71.2,174.8,1,1,0.8\n"}, "mot_seq"),
        ({"wider_face_split/wider_face_train_bbx_gt.txt": "a.jpg\n1\n1 2 3 4 0 0 0 0 0 0\n"}, "wider_face"),
        ({"a.txt": "0 1 Car 0 0 -1.6 1 2 3 4 1 1 1 1 1 1 1\n"}, "tracking"),
        ({"a.txt": "a b.jpg 1,2,3,4,0 1,2,3,4,0\n"}, "_classes.txt"),
        ({"SegmentationClass/a.png": ""}, "masks without XML"),
    ],
)
@pytest.mark.parametrize("installed", [False, True])
def test_what_is_most_likely_amiss(tmp_path, monkeypatch, files, hint, installed):
    """A folder too high, names of classes or columns that are missing, an archive: the remedy says which."""
    monkeypatch.setattr(datumaro, "is_installed", lambda: installed)
    monkeypatch.setattr(datumaro, "recognise", lambda source: ())
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    if "download/a.xml" in files:
        files_of_voc = registry.READERS["voc"]
        monkeypatch.setattr(files_of_voc, "recognise", lambda source: "XML" * (source.name == "download"))
    with pytest.raises(DatasetError, match="no known format") as caught:
        registry.resolve_reader(tmp_path)
    assert hint in caught.value.remedy


def test_splits_that_only_a_table_made_from_it_tells_are_the_sets_own(voc):
    """XML in one folder, and train_labels.csv and test_labels.csv beside it: the XML's boxes, the tables' splits."""
    root = voc({name: [BOX] for name in "abc"})
    header = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    for split, names in (("train", "ab"), ("test", "c")):
        rows = "".join(f"{name}.jpg,20,20,cat,1,1,9,9\n" for name in names)
        (root / f"{split}_labels.csv").write_text(header + rows)
    reader, reason = registry.resolve_reader(root)
    assert reader.NAME == "voc" and "csv beside it tells the splits" in reason
    assert set(reader.splits(root)) == {"train", "test"}
    images = [item for item in reader.read(root, "test") if isinstance(item, AnnotatedImage)]
    assert [(image.name, image.boxes[0].label) for image in images] == [("JPEGImages/c.jpg", BOX[0])]
    assert len([item for item in reader.read(root) if isinstance(item, AnnotatedImage)]) == 3


def test_yolo_without_names_is_not_left_to_another(tmp_path, image):
    """A data.yaml of numbers of classes only: the line says that names are missing."""
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnc: 2\n")
    image(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .2 .2")
    with refused(DatasetError, flag="names of classes are missing"):
        registry.resolve_reader(tmp_path)
