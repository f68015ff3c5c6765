"""Whatever the annotations hold: records, or a DatasetError."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.dataset import records
from app.dataset.prepare import prepare
from app.errors import DatasetError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("a.jpg"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NUMBER = st.sampled_from([-1e300, -5, 0, 1, 12.5, 30, 64, 100, float("nan"), float("inf"), 1e300]) | JSON
IDS = st.sampled_from([1, 2, "1", None]) | JSON
IMAGES = st.fixed_dictionaries(
    {}, optional={"id": IDS, "file_name": st.sampled_from(["a.jpg", "b.jpg", "../a.jpg"]) | JSON,
                  "width": NUMBER, "height": NUMBER},
)  # fmt: skip
BOXES = st.fixed_dictionaries(
    {}, optional={"id": IDS, "image_id": IDS, "category_id": IDS, "iscrowd": JSON, "area": NUMBER,
                  "bbox": st.lists(NUMBER, min_size=4, max_size=4) | JSON},
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
ONE_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


def check(source, target):
    """Either records whose boxes and labels are in range, or one line; never another exception."""
    try:
        card = prepare(source, target)
    except DatasetError as error:
        assert "\n" not in str(error) and error.remedy
        return
    for row in records.read(sorted(target.glob("*.tfrecord"))):
        for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
            pairs = zip(row[f"image/object/bbox/{low}"], row[f"image/object/bbox/{high}"], strict=True)
            assert all(0 <= a < b <= 1 for a, b in pairs)
        assert all(1 <= label <= len(card.classes) for label in row["image/object/class/label"])
        assert all(area > 0 for area in row["image/object/area"])


@ONE_FOLDER
@given(content=COCO, good=st.booleans())
def test_any_coco(tmp_path, picture, content, good):
    """Random JSON in COCO's shape, alone or beside a good set."""
    source = tmp_path / "set"
    for name in ("a.jpg", "b.jpg"):
        if not (source / name).exists():
            picture(source / name)
    if good:
        content = {
            key: GOOD[key] + (content[key] if isinstance(content[key], list) else [])
            for key in ("images", "annotations", "categories")
        }
    (source / "all.json").write_text(json.dumps(content))
    check(source, tmp_path / "records")


@ONE_FOLDER
@given(body=st.lists(VOC_BOX | XML, max_size=4).map("".join), raw=st.none() | st.binary(max_size=40))
def test_any_voc(tmp_path, picture, voc_xml, body, raw):
    """Random elements in a VOC annotation, or random bytes, beside two good ones."""
    source = tmp_path / "set"
    if not source.exists():
        for name in "abc":
            picture(source / f"{name}.jpg")
            (source / f"{name}.xml").write_text(voc_xml([("dog", 1, 1, 20, 20)]))
    data = f"<annotation>{body}</annotation>".encode()
    (source / "c.xml").write_bytes(data if raw is None else raw)
    check(source, tmp_path / "records")
