"""Whatever the JSON of an annotation tool holds: records, or a DatasetError."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dataset.formats import datumaro
from tests.unit.dataset.formats.test_any_annotations import JSON, NUMBER, ONE_FOLDER, check

NAME = st.sampled_from(["a.jpg", "b.jpg", "../a.jpg", "/data/local-files/?d=a.jpg", "http://[", ""]) | JSON
LABEL = st.sampled_from(["dog", "cat", "", "\ud800"]) | JSON
POINTS = st.lists(st.lists(NUMBER, min_size=2, max_size=2) | JSON, max_size=4) | JSON
RAW = st.none() | st.binary(max_size=40)


def rows(required=(), **fields):
    """Objects with some of these fields."""
    optional = {key: value for key, value in fields.items() if key not in required}
    return st.fixed_dictionaries({key: fields[key] for key in required}, optional=optional)


def several(row):
    return st.lists(row | JSON, max_size=4) | JSON


LABELME = rows(
    ("shapes",), imagePath=NAME, imageData=st.sampled_from(["", "AAAA"]) | JSON, imageWidth=NUMBER, imageHeight=NUMBER,
    shapes=several(rows(
        label=LABEL, points=POINTS, group_id=st.sampled_from([None, 1]) | JSON, mask=st.text(max_size=4) | JSON,
        shape_type=st.sampled_from(["rectangle", "polygon", "circle", "mask", "rotation", "point"]) | JSON,
    )),
)  # fmt: skip
SHAPE = rows(
    name=st.sampled_from(["rect", "polygon", "circle", "ellipse", "point"]) | JSON, x=NUMBER, y=NUMBER, width=NUMBER,
    height=NUMBER, cx=NUMBER, cy=NUMBER, r=NUMBER, rx=NUMBER, ry=NUMBER, theta=NUMBER,
    all_points_x=st.lists(NUMBER, max_size=4) | JSON, all_points_y=st.lists(NUMBER, max_size=4) | JSON,
)  # fmt: skip
REGION = rows(shape_attributes=SHAPE | JSON, region_attributes=st.dictionaries(st.sampled_from(["class", "b"]), LABEL))
VIA = st.dictionaries(st.text(max_size=3), rows(filename=NAME, regions=several(REGION)) | JSON, max_size=3)
VIA_3 = st.fixed_dictionaries({
    "file": st.dictionaries(st.sampled_from("12"), rows(fname=NAME)) | JSON,
    "view": st.dictionaries(
        st.sampled_from("12"), rows(fid_list=st.lists(st.sampled_from("12"), max_size=2) | JSON)
    ) | JSON,
    "attribute": st.dictionaries(st.sampled_from("12"), rows(aname=LABEL, type=JSON, options=JSON)) | JSON,
    "metadata": st.dictionaries(st.sampled_from("ab"), rows(
        vid=st.sampled_from("12") | JSON, av=st.dictionaries(st.sampled_from("12"), LABEL) | JSON,
        xy=st.lists(st.integers(-1, 9) | NUMBER, max_size=6) | JSON,
    )) | JSON,
})  # fmt: skip
CREATEML = several(rows(image=NAME, annotations=several(rows(
    label=LABEL, coordinates=rows(x=NUMBER, y=NUMBER, width=NUMBER, height=NUMBER) | JSON))))  # fmt: skip
VALUE = rows(
    x=NUMBER, y=NUMBER, width=NUMBER, height=NUMBER, rotation=NUMBER, radiusX=NUMBER, radiusY=NUMBER, points=POINTS,
    rle=JSON, rectanglelabels=st.lists(LABEL, max_size=2) | JSON, original_width=NUMBER, original_height=NUMBER,
)  # fmt: skip
TASK = rows(
    id=st.integers(1, 2) | JSON, data=rows(image=NAME) | JSON, image=NAME, label=several(VALUE),
    annotations=several(rows(was_cancelled=JSON, result=several(rows(
        value=VALUE | JSON, original_width=NUMBER, original_height=NUMBER, image_rotation=NUMBER, parentID=JSON)))),
)  # fmt: skip
SUPERVISELY = rows(
    ("objects",), size=rows(width=NUMBER, height=NUMBER) | JSON,
    objects=several(rows(
        classTitle=LABEL, geometryType=st.sampled_from(["rectangle", "polygon", "bitmap", "graph", "line"]) | JSON,
        points=rows(exterior=POINTS, interior=JSON) | JSON, bitmap=rows(data=st.text(max_size=4) | JSON, origin=JSON),
        nodes=st.dictionaries(st.text(max_size=2), rows(loc=st.lists(NUMBER, max_size=3), disabled=JSON)) | JSON,
    )),
)  # fmt: skip
BOX = {"x": 10, "y": 10, "width": 20, "height": 20}
GOOD = {
    "labelme": {"imagePath": "a.jpg", "shapes": [
        {"label": "dog", "shape_type": "rectangle", "points": [[1, 1], [20, 20]]}]},
    "via": {"a": {"filename": "a.jpg", "regions": [
        {"shape_attributes": {"name": "rect", **BOX}, "region_attributes": {"class": "dog"}}]}},
    "createml": [{"image": "a.jpg", "annotations": [{"label": "dog", "coordinates": BOX}]}],
    "label_studio": [{"image": "a.jpg", "id": 9, "annotation_id": 9, "lead_time": 1, "label": [
        {**BOX, "rectanglelabels": ["dog"], "original_width": 64, "original_height": 48}]}],
    "supervisely": {"size": {"width": 64, "height": 48}, "tags": [], "objects": [
        {"classTitle": "dog", "geometryType": "rectangle", "points": {"exterior": [[1, 1], [20, 20]]}}]},
}  # fmt: skip
WHOLE = {
    "labelme": LABELME,
    "via": VIA | VIA_3,
    "createml": CREATEML,
    "label_studio": several(TASK),
    "supervisely": SUPERVISELY,
}


@pytest.fixture(autouse=True, scope="module")
def without_datumaro():
    """It takes seconds over what it does not know either."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(datumaro, "is_installed", lambda: False)
        yield


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_any_json(tmp_path, image, name):
    """Random JSON in a tool's shape, or random bytes, beside a good file; the good one joined where it can be."""
    source = tmp_path / "set"
    for seed, stem in enumerate("abc"):
        image(source / f"{stem}.jpg", seed=seed)

    @ONE_FOLDER
    @given(content=WHOLE[name], joined=st.booleans(), raw=RAW, masked=st.booleans())
    def run(content, joined, raw, masked):
        good = GOOD[name]
        if joined and isinstance(good, list) and isinstance(content, list):
            content = good + content
        if joined and name == "via" and isinstance(content, dict):
            content = {**content, **good}
        (source / "a.jpg.json" if name == "supervisely" else source / "a.json").write_text(json.dumps(good))
        data = json.dumps(content).encode() if raw is None else raw
        (source / "b.jpg.json" if name == "supervisely" else source / "b.json").write_bytes(data)
        check(source, tmp_path / "records", masked)

    run()


CELL = st.sampled_from(
    ["a.jpg", "{}", '"{""name"":""rect"",""x"":1,""y"":1,""width"":9}"', '"{""class"":""dog""}"', '"[1"', '"', ""]
)


@ONE_FOLDER
@given(cells=st.lists(st.lists(CELL, max_size=7), max_size=4))
def test_any_csv_of_via(tmp_path, image, cells):
    """Random cells in VIA's columns."""
    source = tmp_path / "set"
    if not source.exists():
        image(source / "a.jpg")
        image(source / "b.jpg", seed=1)
    header = "filename,region_shape_attributes,region_attributes"
    good = 'b.jpg,"{""name"":""rect"",""x"":1,""y"":1,""width"":9,""height"":9}","{""class"":""dog""}"'
    (source / "via.csv").write_text("\n".join([header, good, *(",".join(row) for row in cells)]))
    check(source, tmp_path / "records", masked=True)
