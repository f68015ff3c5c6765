"""Names of classes in text files of an encoding that no one states, whatever the reader."""

import pytest
from refusals import refused

from app.dataset.annotation import AnnotatedImage
from app.dataset.faults import Fault
from app.dataset.formats import registry
from app.errors import DatasetError
from app.protos.label_map import ENCODING

IN_YOLO = "0 .5 .5 .2 .2\n"
SETS = {
    "keras_yolo3": ({"_annotations.txt": "a.jpg 1,2,30,40,0\n"}, "_classes.txt", "{}\n"),
    "keras_retinanet": ({"classes.csv": "x,0\n"}, "annotations.csv", "a.jpg,1,2,30,40,{}\n"),
    "kitti_detection": ({}, "a.txt", "{} 0 0 0 1 2 30 40 1 1 1 1 1 1 1\n"),
    "oidv4": ({}, "Label/a.txt", "{} 1 2 30 40\n"),
    "yolo": ({"a.txt": IN_YOLO, "data.yaml": "train: .\nnames: my.names\n"}, "my.names", "{}\n"),
    "open_images": (
        {"annotations-bbox.csv": "ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/1,0.1,0.2,0.1,0.2\n"},
        "class-descriptions.csv",
        "/m/1,{}\n",
    ),
}


@pytest.fixture(params=list(SETS))
def named(request, tmp_path, image):
    """`named(name, encoding)` makes a set of a format with a class of that name; gives what is read of it."""
    files, last, line = SETS[request.param]
    image(tmp_path / "a.jpg")

    def make(name, encoding):
        for file, text in files.items():
            (tmp_path / file).write_text(text)
        (tmp_path / last).parent.mkdir(exist_ok=True)
        (tmp_path / last).write_bytes(line.replace("{}", name).encode(encoding))
        return list(registry.READERS[request.param].read(tmp_path))

    return make


def test_a_sure_reading_is_taken(named):
    """Cyrillic words are Cyrillic in one code page only."""
    items = named("собака", "cp1251")
    (image,) = [item for item in items if isinstance(item, AnnotatedImage)]
    assert [box.label for box in image.boxes] == ["собака"]


def test_a_guess_is_refused_with_the_line(named):
    """A letter could be of several code pages: nobody would see that the class is another word."""
    with refused(DatasetError, where="line 1", about="encoding"):
        named("狗", "gbk")


def test_utf8_is_nothing_to_speak_of(named):
    """No fault of an encoding."""
    assert not [item for item in named("狗 猫", "utf-8") if isinstance(item, Fault) and item.kind == ENCODING]
