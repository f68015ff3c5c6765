"""Reading CVAT's XML."""

import numpy as np
import pytest
from refusals import refused

from app.dataset import faults, masks
from app.dataset.annotation import AnnotatedImage, Category
from app.dataset.faults import Fault
from app.dataset.formats import cvat as reader
from app.dataset.formats import registry
from app.dataset.preparation import prepare
from app.errors import DatasetError


def read(source, split="", masked=False):
    items = list(reader.read(source, split, masked=masked))
    return tuple([item for item in items if isinstance(item, kind)] for kind in (AnnotatedImage, Fault))


def write(folder, body, meta="<labels><label><name>dog</name></label></labels>", name="annotations.xml"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(
        f"<annotations><version>1.1</version><meta><task>{meta}</task></meta>{body}</annotations>", encoding="utf-8"
    )
    return folder


def of_image(shapes, name="a.jpg", more=""):
    return f'<image id="0" name="{name}" {more} width="64" height="48">{shapes}</image>'


def corners(image):
    return [(b.xmin, b.ymin, b.xmax, b.ymax) for b in image.boxes]


@pytest.mark.parametrize(
    ("shape", "box", "said"),
    [
        ('<box label="dog" xtl="8" ytl="6" xbr="40" ybr="30"/>', (8, 6, 40, 30), None),
        ('<box label="dog" xtl="20" ytl="10" xbr="40" ybr="20" rotation="90"/>', (25, 5, 35, 25), "rotated box"),
        ('<box label="dog" xtl="20" ytl="10" xbr="40" ybr="20" rotation="180"/>', (20, 10, 40, 20), None),
        ('<polygon label="dog" points="1,2;30.5,4;3,40"/>', (1, 2, 30.5, 40), "polygon"),
        ('<polyline label="dog" points="1,2;30,4"/>', (1, 2, 30, 4), "polyline"),
        ('<points label="dog" points="1,2;30,4;5,9"/>', (1, 2, 30, 9), "points"),
        ('<ellipse label="dog" cx="20" cy="10" rx="6" ry="3"/>', (14, 7, 26, 13), "ellipse"),
        ('<ellipse label="dog" cx="20" cy="10" rx="6" ry="3" rotation="90"/>', (17, 4, 23, 16), "ellipse"),
        ('<mask label="dog" rle="1, 2, 1, 2" left="5" top="7" width="3" height="2"/>', (5, 7, 8, 9), "mask"),
        ('<cuboid label="dog" xtl1="1" ytl1="2" xbl1="1" ybl1="20" xtr1="9" ytr1="2" xbr1="9" ybr1="20" '
         'xtl2="3" ytl2="1" xbl2="3" ybl2="15" xtr2="12" ytr2="1" xbr2="12" ybr2="15"/>', (1, 1, 12, 20), "cuboid"),
    ],
)  # fmt: skip
def test_each_shape_has_its_box(tmp_path, image, shape, box, said):
    """The box as it is drawn, else the upright one around the shape, which is said."""
    image(tmp_path / "images" / "a.jpg")
    images, found = read(write(tmp_path, of_image(shape)))
    assert corners(images[0]) == [pytest.approx(box)]
    assert [(f.kind, f.detail) for f in found] == ([(faults.BOX_AROUND, f"dog, {said}")] if said else [])
    assert registry.resolve_reader(tmp_path)[0].NAME == "cvat"


def test_skeletons_have_keypoints_in_the_order_of_their_label(tmp_path, image):
    """Joints that are outside are not annotated, those occluded are hidden; joints are no classes."""
    image(tmp_path / "a.jpg")
    sub = "".join(f"<label><name>{n}</name><type>points</type><parent>dog</parent></label>" for n in ("nose", "tail"))
    joint = '<points label="{}" outside="{}" occluded="{}" points="{}"/>'.format
    shape = f'<skeleton label="dog">{joint("tail", 0, 1, "30,20")}{joint("nose", 0, 0, "4,5")}</skeleton>'
    write(tmp_path, of_image(shape), f"<labels><label><name>dog</name></label>{sub}</labels>")
    items = list(reader.read(tmp_path))
    assert [item.name for item in items if isinstance(item, Category)] == ["dog"]
    box = next(item for item in items if isinstance(item, AnnotatedImage)).boxes[0]
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == (4, 5, 30, 20)
    assert box.keypoints == ((4, 5, 2), (30, 20, 1))


def test_masks_are_drawn_where_they_lie(tmp_path, image):
    """Run lengths are of rows of the box at left, top; an outline keeps its points; one that does not fill is said."""
    image(tmp_path / "a.jpg")
    rows = '<mask label="dog" rle="1, 2, 1, 2" left="5" top="7" width="3" height="2"/>'
    wrong = '<mask label="dog" rle="1, 2, 1, 99" left="5" top="7" width="3" height="2"/>'
    outline = '<polygon label="dog" points="1,2;30,4;3,40"/>'
    images, found = read(write(tmp_path, of_image(rows + outline + wrong)), masked=True)
    wanted = np.zeros((48, 64))
    wanted[7, 6:8] = wanted[8, 6:8] = 1
    assert images[0].boxes[0].mask == masks.of_bitmap(wanted)
    assert images[0].boxes[1].mask == masks.of_outlines([[1, 2, 30, 4, 3, 40]])
    assert images[0].boxes[2].mask is None
    assert [f.kind for f in found].count(faults.MASK_UNREADABLE) == 1


def test_what_gave_no_box_comes_with_its_image(tmp_path, image):
    """Shapes that are not whole are lost; tags and shapes that are outside are no boxes; no shapes: a negative."""
    for name in "abc":
        image(tmp_path / f"{name}.jpg")
    lost = '<box label="dog" xtl="1"/><polygon label="dog" points="1,x"/><box xtl="1" ytl="1" xbr="2" ybr="2"/>'
    gone = '<tag label="dog"/><box label="dog" outside="1" xtl="8" ytl="6" xbr="40" ybr="30"/>'
    body = of_image(lost) + of_image(gone, "b.jpg") + of_image("", "c.jpg") + of_image("", "ghost.jpg")
    images, found = read(write(tmp_path, body))
    assert [len(i.boxes) for i in images] == [0, 0, 0]
    unreadable, unknown = faults.BOX_UNREADABLE, faults.LABEL_UNKNOWN
    assert [[f.kind for f in i.lost] for i in images] == [[unreadable, unreadable, unknown], [], []]
    assert [f.kind for f in found] == [faults.IMAGE_MISSING]


def test_subsets_are_splits(tmp_path, image):
    """The subset of an image, or what the file's name says; `default` is none of its own."""
    for name in "abc":
        image(tmp_path / "images" / f"{name}.jpg")
    subsets = {"a": "Train", "b": "Test", "c": "default"}
    body = "".join(of_image("", f"{name}.jpg", f'subset="{subset}"') for name, subset in subsets.items())
    write(tmp_path, body)
    assert reader.splits(tmp_path) == ("Train", "Test")
    assert [i.name for i in read(tmp_path, "Test")[0]] == ["images/b.jpg"]
    (tmp_path / "annotations.xml").unlink()
    write(tmp_path / "train", of_image("", "a.jpg"))
    write(tmp_path, of_image("", "b.jpg"), name="val.xml")
    assert set(reader.splits(tmp_path)) == {"train", "val"}
    assert [i.name for i in read(tmp_path, "train")[0]] == ["images/a.jpg"]


def of_track(*boxes, label="dog"):
    shape = '<box frame="{}" keyframe="1" outside="{}" occluded="0" xtl="{}" ytl="6" xbr="40" ybr="30"/>'.format
    return f'<track id="0" label="{label}">{"".join(shape(*box) for box in boxes)}</track>'


def frames(folder, image, numbers):
    for number in numbers:
        image(folder / "images" / f"frame_{number:06}.png", seed=number)


def by_frame(images):
    return {int(i.path.stem[-6:]): [b.xmin for b in i.boxes] for i in images}


VIDEO = "<size>6</size><start_frame>0</start_frame><stop_frame>5</stop_frame>"


def test_a_track_is_not_there_where_it_is_outside(tmp_path, image):
    """Frames before, after and between its appearances are images without objects."""
    frames(tmp_path, image, range(6))
    write(tmp_path, of_track((1, 0, 8), (2, 1, 8), (4, 0, 10), (5, 1, 10)), VIDEO)
    images, found = read(tmp_path)
    assert by_frame(images) == {0: [], 1: [8], 2: [], 3: [], 4: [10], 5: []}
    assert not found


def test_between_keyframes(tmp_path, image):
    """Where frames of a track are left out, the box moves from one to the next, and that is said."""
    frames(tmp_path, image, range(6))
    write(tmp_path, of_track((0, 0, 8), (4, 0, 16), (5, 1, 16)), VIDEO)
    images, found = read(tmp_path)
    assert by_frame(images) == {0: [8], 1: [10], 2: [12], 3: [14], 4: [16], 5: []}
    assert [f.kind for f in found] == [faults.BOX_INTERPOLATED] * 3


@pytest.mark.parametrize(
    ("named", "meta", "track", "wanted"),
    [
        (range(1, 7), VIDEO, (0, 5), {1: [8], 6: [8]}),
        (range(3), "<size>3</size><start_frame>100</start_frame>", (100, 102), {0: [8], 2: [8]}),
        ((0, 5), "<size>2</size><frame_filter>step=5</frame_filter>", (0, 5), {0: [8], 5: [8]}),
    ],
)
def test_how_frames_are_counted(tmp_path, image, named, meta, track, wanted):
    """From 0 of the video; ffmpeg's from 1, and from the task's own start, are told and said."""
    frames(tmp_path, image, named)
    write(tmp_path, of_track(*((frame, 0, 8) for frame in track)) if len(named) == 2 else "".join(
        of_track((frame, 0, 8)) for frame in track), meta)  # fmt: skip
    images, found = read(tmp_path)
    assert {frame: boxes for frame, boxes in by_frame(images).items() if boxes} == wanted
    assert [f.kind for f in found] == ([] if 5 in wanted else [faults.FILENAME_WRONG])


def test_a_video_without_its_frames(tmp_path, image):
    """Each is missing, and the error says how they are made."""
    image(tmp_path / "other.jpg")
    write(tmp_path, of_track((0, 0, 8)), VIDEO)
    with refused(DatasetError, where=str(tmp_path)) as caught:
        prepare(tmp_path, tmp_path / "records")
    assert "frame_000000" in caught.value.remedy and "ffmpeg" in caught.value.remedy


def test_a_file_that_is_no_xml_costs_itself(tmp_path, image):
    """Cut short, entities: named and dropped."""
    image(tmp_path / "a.jpg")
    write(tmp_path, of_image(""))
    (tmp_path / "b.xml").write_text("<annotations><version>1.1</version><image")
    (tmp_path / "c.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotations><version>&b;</version></annotations>')
    images, found = read(tmp_path)
    assert [i.name for i in images] == ["a.jpg"]
    assert [f.kind for f in found] == [faults.ANNOTATION_UNREADABLE] * 2
    assert reader.recognise(tmp_path / "annotations.xml") and not reader.recognise(tmp_path / "a.jpg")
