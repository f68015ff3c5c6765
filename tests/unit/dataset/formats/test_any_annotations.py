"""Whatever the annotations hold: records, or a DatasetError."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.dataset import example, records
from app.dataset.formats import datumaro
from app.dataset.preparation import prepare
from app.errors import DatasetError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("a.jpg"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NUMBER = st.sampled_from([-1e300, -5, 0, 1, 12.5, 30, 64, 100, float("nan"), float("inf"), 1e300]) | JSON
IDS = st.sampled_from([1, 2, "1", None]) | JSON
SEGMENTATION = (
    st.lists(st.lists(NUMBER, max_size=8), max_size=2)
    | st.fixed_dictionaries({"size": st.lists(st.integers(-1, 9), min_size=2, max_size=2) | JSON,
                             "counts": st.text(max_size=6) | st.lists(st.integers(-1, 40), max_size=4) | JSON})
    | JSON
)  # fmt: skip
IMAGES = st.fixed_dictionaries(
    {}, optional={"id": IDS, "file_name": st.sampled_from(["a.jpg", "b.jpg", "../a.jpg"]) | JSON,
                  "width": NUMBER, "height": NUMBER},
)  # fmt: skip
BOXES = st.fixed_dictionaries(
    {}, optional={"id": IDS, "image_id": IDS, "category_id": IDS, "iscrowd": JSON, "area": NUMBER,
                  "bbox": st.lists(NUMBER, min_size=4, max_size=4) | JSON,
                  "segmentation": SEGMENTATION, "keypoints": st.lists(NUMBER, max_size=6) | JSON},
)  # fmt: skip
CATEGORIES = st.fixed_dictionaries({}, optional={"id": IDS, "name": st.text(max_size=6) | JSON, "supercategory": JSON})
COCO = st.fixed_dictionaries(
    {
        "images": st.lists(IMAGES, max_size=4) | JSON,
        "annotations": st.lists(BOXES, max_size=6) | JSON,
        "categories": st.lists(CATEGORIES, max_size=3) | JSON,
    }
)
GOOD = {
    "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
    "annotations": [{"image_id": i, "category_id": 1, "bbox": [1, 1, 20, 20]} for i in (1, 2)],
    "categories": [{"id": 1, "name": "dog"}],
}
TEXT = st.sampled_from(["dog", "a b", "", "12", "-3", "nan", "inf", "1e400", "64", "99", "&lt;", "ü", "0"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="<&"), max_size=8
)
TAGS = st.sampled_from(
    ["object", "name", "bndbox", "xmin", "ymin", "xmax", "ymax", "size", "width", "height", "filename"]
)
XML = st.recursive(
    TEXT,
    lambda inner: st.builds("<{0}>{1}</{0}>".format, TAGS, inner) | st.builds("{}{}".format, inner, inner),
)
VOC_BOX = st.builds(
    "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>".format,
    TEXT, TEXT, TEXT, TEXT, TEXT,
)  # fmt: skip
ONE_FOLDER = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, derandomize=True
)


@pytest.fixture(autouse=True, scope="module")
def without_datumaro():
    """It takes seconds over what it does not know either."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(datumaro, "is_installed", lambda: False)
        yield


def check(source, target, masked=False):
    """Either records whose boxes and labels are in range, or one line; never another exception, nor half a folder."""
    before = {path: path.stat().st_mtime_ns for path in target.glob("*")}
    try:
        card = prepare(source, target, masked=masked, workers=1)
    except DatasetError as error:
        assert "\n" not in str(error) and error.remedy
        assert {path: path.stat().st_mtime_ns for path in target.glob("*")} == before
        return
    finally:
        assert not list(target.parent.glob(f".{target.name}*"))
    for row in records.read(sorted(target.glob("*.tfrecord"))):
        for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
            pairs = zip(row[f"image/object/bbox/{low}"], row[f"image/object/bbox/{high}"], strict=True)
            assert all(0 <= a < b <= 1 for a, b in pairs)
        assert all(1 <= label <= len(card.classes) for label in row["image/object/class/label"])
        assert all(area > 0 for area in row["image/object/area"])


@ONE_FOLDER
@given(content=COCO, good=st.booleans(), masked=st.booleans())
def test_any_coco(tmp_path, image, content, good, masked):
    """Random JSON in COCO's shape, alone or beside a good set."""
    source = tmp_path / "set"
    for name in ("a.jpg", "b.jpg"):
        if not (source / name).exists():
            image(source / name)
    if good:
        content = {
            key: GOOD[key] + (content[key] if isinstance(content[key], list) else [])
            for key in ("images", "annotations", "categories")
        }
    (source / "all.json").write_text(json.dumps(content))
    check(source, tmp_path / "records", masked)


@ONE_FOLDER
@given(body=st.lists(VOC_BOX | XML, max_size=4).map("".join), raw=st.none() | st.binary(max_size=40))
def test_any_voc(tmp_path, image, voc_xml, body, raw):
    """Random elements in a VOC annotation, or random bytes, beside two good ones."""
    source = tmp_path / "set"
    if not source.exists():
        for name in "abc":
            image(source / f"{name}.jpg")
            (source / f"{name}.xml").write_text(voc_xml([("dog", 1, 1, 20, 20)]))
    data = f"<annotation>{body}</annotation>".encode()
    (source / "c.xml").write_bytes(data if raw is None else raw)
    check(source, tmp_path / "records")


LINE = st.lists(TEXT, max_size=8).map(" ".join) | st.sampled_from(["0 .5 .5 .2 .2", "0 .1 .1 .5 .1 .5 .5", "1 1 1 9 9"])
TABLE = st.fixed_dictionaries(
    {}, optional={"names": st.lists(st.text(max_size=3), max_size=3) | JSON, "path": JSON,
                  "train": st.sampled_from(["images", ".", "..", "a.jpg"]) | JSON, "val": JSON},
)  # fmt: skip


@ONE_FOLDER
@given(lines=st.lists(LINE, max_size=4).map("\n".join), table=TABLE, raw=st.none() | st.binary(max_size=40))
def test_any_yolo(tmp_path, image, lines, table, raw):
    """Random lines or bytes in one text file and random values in data.yaml, beside two good images."""
    source = tmp_path / "set"
    for name in "abc":
        if not (source / f"{name}.jpg").exists():
            image(source / f"{name}.jpg")
        (source / f"{name}.txt").write_text("0 .5 .5 .2 .2")
    (source / "classes.txt").write_text("dog")
    (source / "data.yaml").write_text(json.dumps(table))
    (source / "c.txt").write_bytes(lines.encode() if raw is None else raw)
    check(source, tmp_path / "records", masked=True)


CELL = st.sampled_from(["a.jpg", "b.jpg", "../a.jpg", '"', "1,5", "64"]) | TEXT


@ONE_FOLDER
@given(
    rows=st.lists(st.lists(CELL, max_size=9), max_size=4), delimiter=st.sampled_from(",;\t"), raw=st.binary(max_size=20)
)
def test_any_csv(tmp_path, image, rows, delimiter, raw):
    """Random cells, then random bytes, after two good rows."""
    source = tmp_path / "set"
    for name in "ab":
        if not (source / f"{name}.jpg").exists():
            image(source / f"{name}.jpg")
    table = [HEADER, *([f"{name}.jpg", "64", "48", "dog", "1", "1", "20", "20"] for name in "ab"), *rows]
    (source / "labels.csv").write_bytes("\n".join(delimiter.join(row) for row in table).encode() + b"\n" + raw)
    check(source, tmp_path / "records")


HEADER = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]
FLOATS = st.lists(
    st.floats(-2, 200, width=32) | st.sampled_from([0.0, 0.5, 1.0, float("nan"), float("inf")]), max_size=3
)
INTS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 3), max_size=3)
BYTES = st.lists(st.binary(max_size=4) | st.sampled_from([b"dog", b"cat"]), max_size=3)
FEATURE = (
    st.tuples(st.just("float_list"), FLOATS) | st.tuples(st.just("int64_list"), INTS)
    | st.tuples(st.just("bytes_list"), BYTES)
)  # fmt: skip
KEYS = st.sampled_from(
    ["encoded", "filename", "height", "width", "object/mask", "object/keypoint/x", "object/keypoint/y", "object/area",
     "object/class/text", "object/class/label", "object/is_crowd", *(f"object/bbox/{k}" for k in HEADER[4:])]
)  # fmt: skip


@ONE_FOLDER
@given(
    changed=st.dictionaries(KEYS, FEATURE, max_size=4), cut=st.integers(0, 30),
    flipped=st.none() | st.integers(0, 1500),
    label_map=st.none() | st.sampled_from(["item { id: 1 name: 'dog' }", "item {"]) | st.text(max_size=20),
)  # fmt: skip
def test_any_records(tmp_path, image, changed, cut, flipped, label_map):
    """Features of random kinds and lengths, files cut short, bytes flipped, any label map."""
    source = tmp_path / "set"
    source.mkdir(exist_ok=True)
    data = image(tmp_path / "a.jpg").read_bytes()
    good = {
        f"image/object/bbox/{key}": ("float_list", [value]) for key, value in zip(HEADER[4:], (0, 0, 1, 1), strict=True)
    }
    good |= {"image/encoded": ("bytes_list", [data]), "image/object/class/label": ("int64_list", [1])}
    with open(source / "a.tfrecord", "wb") as file:
        for features in (good, good, good | {f"image/{key}": value for key, value in changed.items()}):
            records.append(file, example.encode(features))
    content = bytearray((source / "a.tfrecord").read_bytes())
    if flipped is not None and flipped < len(content):
        content[flipped] ^= 255
    (source / "a.tfrecord").write_bytes(content[: len(content) - cut])
    (source / "label_map.pbtxt").unlink(missing_ok=True)
    if label_map is not None:
        (source / "label_map.pbtxt").write_text(label_map, encoding="utf-8", errors="replace")
    check(source, tmp_path / "records", masked=True)


VALUE = st.sampled_from(["1", "8", "30.5", "-4", "1,2;30,4;5,9", "1, 2, 1, 2", "5", "nan", "inf", "dog", ""]) | TEXT
PARTS = st.dictionaries(
    st.sampled_from(["label", "frame", "outside", "xtl", "ytl", "xbr", "ybr", "rotation", "points", "cx", "cy",
                     "rx", "ry", "rle", "left", "top", "width", "height", "xtl1", "subset", "name", "task_id"]),
    VALUE.map(lambda text: text.replace('"', "")), max_size=8,
).map(lambda parts: " ".join('{}="{}"'.format(*part) for part in parts.items()))  # fmt: skip
SHAPE = st.builds(
    "<{} {}/>".format,
    st.sampled_from(["box", "polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton", "tag", "x"]),
    PARTS,
)  # fmt: skip
CVAT_BOX = '<box label="dog" frame="1" xtl="1" ytl="1" xbr="20" ybr="20"/>'
CVAT = st.builds(
    "<{0} {1}>{2}</{0}>".format, st.sampled_from(["image", "track", "meta", "labels"]), PARTS,
    st.lists(SHAPE | st.just(CVAT_BOX), max_size=4).map("".join),
)  # fmt: skip


@ONE_FOLDER
@given(
    body=st.lists(CVAT, max_size=3).map("".join), size=VALUE, raw=st.none() | st.binary(max_size=40),
    masked=st.booleans(),
)  # fmt: skip
def test_any_cvat(tmp_path, image, body, size, raw, masked):
    """Random shapes, images and tracks, or random bytes, beside two good images and frames of a video."""
    source = tmp_path / "set"
    for name in ("a.jpg", "b.jpg", "frame_000001.png", "frame_000003.png"):
        if not (source / name).exists():
            image(source / name)
    good = "".join(f'<image name="{name}.jpg" width="64" height="48">{CVAT_BOX}</image>' for name in "ab")
    meta = f"<meta><task><size>{size}</size><stop_frame>{size}</stop_frame></task></meta>"
    (source / "annotations.xml").write_text(f"<annotations>{meta}{good}{body}</annotations>", encoding="utf-8")
    (source / "c.xml").write_bytes(f"<annotations>{body}".encode() if raw is None else b"<annotations><meta>" + raw)
    check(source, tmp_path / "records", masked)


GOOD_LINES = {
    "oidv4": "dog 1 1 20 20",
    "kitti_detection": "dog 0 0 0 1 1 20 20 1 1 1 1 1 1 1",
    "keras_yolo3": "a.jpg 1,1,20,20,0\nb.jpg 1,1,20,20,0",
    "keras_retinanet": "a.jpg,1,1,20,20,dog\nb.jpg,1,1,20,20,dog",
    "open_images": "ImageID,LabelName,XMin,XMax,YMin,YMax\na,dog,0.1,0.5,0.1,0.5\nb,dog,0.1,0.5,0.1,0.5",
}
"""What is good in each format that is lines: of one image where a file is an image's, else of both."""
FILES = {"keras_retinanet": "boxes.csv", "open_images": "boxes.csv", "keras_yolo3": "train.txt"}


@pytest.mark.parametrize("name", GOOD_LINES)
@ONE_FOLDER
@given(
    lines=st.lists(st.lists(CELL, max_size=16), max_size=4), separator=st.sampled_from([" ", ","]),
    raw=st.binary(max_size=20), names=st.sampled_from(["dog\n", "dog,0\n", ""]) | st.text(max_size=10),
)  # fmt: skip
def test_any_lines(tmp_path, image, name, lines, separator, raw, names):
    """Random words, then random bytes, after good lines; any list of names."""
    source = tmp_path / "set"
    files = {"a.txt": "", "b.txt": ""} if name not in FILES else {FILES[name]: ""}
    for stem in "abc":
        if not (source / f"{stem}.jpg").exists():
            image(source / f"{stem}.jpg")
    (source / "classes.csv").write_text(names, encoding="utf-8", errors="replace")
    (source / "_classes.txt").write_text(names, encoding="utf-8", errors="replace")
    for number, file in enumerate(files):
        place = source / "Label" / file if name == "oidv4" else source / file
        place.parent.mkdir(exist_ok=True)
        more = "\n".join(separator.join(line) for line in lines).encode() + b"\n" + raw if number == 0 else b""
        place.write_bytes(GOOD_LINES[name].encode() + b"\n" + more)
    check(source, tmp_path / "records")
