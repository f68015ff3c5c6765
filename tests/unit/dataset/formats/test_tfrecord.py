"""Reading TFRecords as a data set."""

import pytest
from refusals import refused

from app.dataset import example, faults, records
from app.dataset.formats import registry
from app.dataset.formats import tfrecord as reader
from app.dataset.preparation import prepare
from app.errors import DatasetError
from app.protos import label_map
from app.protos.label_map import print_label_map

BOX = {"xmin": 0.25, "ymin": 0.25, "xmax": 0.5, "ymax": 0.75}


@pytest.fixture
def row(tmp_path, image):
    """`row(name, boxes=[(text, number)], **more)` is the features of a record with an image of 64x48."""

    def make(name, boxes=(("dog", 1),), corners=BOX, seed=0, orientation=None, **more):
        data = image(tmp_path / "made.jpg", seed=seed, orientation=orientation).read_bytes()
        features = {
            "image/encoded": ("bytes_list", [data]),
            "image/format": ("bytes_list", ["jpeg"]),
            "image/filename": ("bytes_list", [name]),
            "image/width": ("int64_list", [64]),
            "image/height": ("int64_list", [48]),
            "image/object/class/text": ("bytes_list", [text for text, _ in boxes if text]),
            "image/object/class/label": ("int64_list", [number for _, number in boxes if number is not None]),
            **{f"image/object/bbox/{k}": ("float_list", [v] * len(boxes)) for k, v in corners.items()},
        }
        features.update({f"image/object/{key.replace('__', '/')}": value for key, value in more.items()})
        return {key: value for key, value in features.items() if value[1]}

    return make


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        for features in rows:
            records.append(file, example.encode(features))
    return path


def kinds(card):
    return {row.kind: (row.action, row.count) for row in card.faults}


LABEL_MAP = "item { id: 1 name: 'dog' }\nitem { id: 2 name: 'big cat' display_name: 'Cat' }\nitem { id: 3 name: 'yak' }"


def test_records_of_upstreams_tools(tmp_path, row):
    """Sharded files with splits in their names; ids and classes are the label map's."""
    source = tmp_path / "set"
    write(source / "pets_train.record-00000-of-00002", row("a.jpg"), row("b.jpg", [("big cat", 2)], seed=1))
    write(source / "pets_train.record-00001-of-00002", row("c.jpg", [("", 2)], seed=2))
    write(source / "pets_val.record-00000-of-00001", row("a.jpg", seed=3))
    (source / "pets_label_map.pbtxt").write_text(LABEL_MAP)
    found, reason = registry.resolve_reader(source)
    assert found is reader and "3 record files" in reason and "pets_label_map.pbtxt" in reason
    card = prepare(source, tmp_path / "records")
    assert card.classes == ("dog", "big cat", "yak")
    assert (card.train.images, card.eval.images, card.faults) == (3, 1, ())
    assert card.train.boxes_per_class == {"dog": 1, "big cat": 2, "yak": 0}
    rows = list(records.read(sorted((tmp_path / "records").glob("train-*"))))
    assert {r["image/filename"][0] for r in rows} == {b"train/a.jpg", b"train/b.jpg", b"train/c.jpg"}
    assert all(r["image/object/bbox/xmax"] == [0.5] and r["image/object/bbox/ymax"] == [0.75] for r in rows)


def test_a_file_of_the_whole_beside_the_splits_is_left_out(tmp_path, row):
    """`all.record` is what train and val were made from: the splits hold, and it is said."""
    source = tmp_path / "set"
    rows = [row("a.jpg"), row("b.jpg", seed=1)]
    write(source / "train.record", rows[0])
    write(source / "val.record", rows[1])
    write(source / "all.record", *rows)
    card = prepare(source, tmp_path / "records")
    assert (card.train.images, card.eval.images) == (1, 1)
    assert [(fault.kind, fault.count, fault.examples[0].split(":")[0]) for fault in card.faults] == [
        (faults.IMAGE_LEFT_OUT, 1, "all.record")
    ]


def test_what_detbox_wrote_it_reads(voc, tmp_path):
    """A run's folder of records is a data set; twice through is the same boxes and images as once."""
    source = voc({f"p{n}": [("dog", 8, 6, 40, 30), ("cat", 1, 1, 9, 9)] for n in range(6)})
    once = prepare(source, tmp_path / "run" / "records")
    (tmp_path / "run" / "label_map.pbtxt").write_text(print_label_map(once.class_names))
    twice = prepare(tmp_path / "run" / "records", tmp_path / "again")
    assert (twice.format, twice.classes, twice.train.boxes, twice.faults) == (
        "tfrecord",
        once.classes,
        once.train.boxes,
        (),
    )
    first, second = (
        {r["image/key/sha256"][0]: (r["image/object/bbox/xmin"], r["image/object/area"])
         for r in records.read(sorted(folder.glob("*.tfrecord")))}
        for folder in (tmp_path / "run" / "records", tmp_path / "again")
    )  # fmt: skip
    assert first.keys() == second.keys()
    for key in first:
        for ours, theirs in zip(first[key], second[key], strict=True):
            assert ours == pytest.approx(theirs)


def test_without_a_label_map(tmp_path, row):
    """Names come from the records in the order of their numbers; without names the numbers stand, and it is said."""
    named = write(tmp_path / "1" / "all.tfrecord", row("a", [("zebra", 1)]), row("b", [("ant", 2)], seed=1))
    assert prepare(named, tmp_path / "r1").classes == ("zebra", "ant")
    bare = write(tmp_path / "2" / "all.tfrecord", row("a", [("", 10)]), row("b", [("", 9)], seed=1))
    card = prepare(bare.parent, tmp_path / "r2")
    assert card.classes == ("9", "10")
    assert kinds(card) == {faults.LABEL_NAMELESS: ("kept", 2)}


def test_numbers_that_contradict_the_label_map(tmp_path, row):
    """The text wins as in upstream's decoder, also one that the map lacks; a number that it lacks goes."""
    boxes = [("dog", 2), ("ghost", 2), ("ghost", 9), ("", 8), ("dog", 1)]
    source = write(tmp_path / "set" / "a.record", row("a", boxes), row("b", seed=1)).parent
    (source / "label_map.pbtxt").write_text(LABEL_MAP)
    card = prepare(source, tmp_path / "records")
    assert kinds(card)[faults.ANNOTATION_UNREADABLE] == ("dropped", 1)  # Fewer texts than numbers.
    boxes.remove(("", 8))
    write(source / "a.record", row("a", boxes), row("b", seed=1), row("c", [("", 8), ("", 3)], seed=2))
    card = prepare(source, tmp_path / "records")
    assert kinds(card) == {faults.LABEL_CONTRADICTS: ("fixed", 3), faults.LABEL_UNKNOWN: ("dropped", 1)}
    assert card.classes == ("dog", "big cat", "yak", "ghost")
    assert per_class(card) == {"dog": 3, "big cat": 0, "yak": 1, "ghost": 2}


def per_class(card):
    return {name: sum(split.boxes_per_class[name] for split in card.splits.values()) for name in card.classes}


ITEM = "item {{\n  id: {0}\n  name: '{1}'\n}}\n"


def set_of(tmp_path, row, boxes, names=None, encoding="utf-8"):
    """A set of four images with these boxes, and a label map of these (number, name)."""
    source = write(tmp_path / "set" / "train.record", *(row(f"{n}", boxes, seed=n) for n in range(3))).parent
    write(source / "val.record", row("v", boxes, seed=9))
    if names is not None:
        (source / "label_map.pbtxt").write_bytes("".join(ITEM.format(*pair) for pair in names).encode(encoding))
    return source


def test_an_image_whose_classes_are_all_unknown(tmp_path, row):
    """It is left out and counted, not taken for background."""
    source = write(tmp_path / "set" / "a.record", row("a"), row("b", seed=1), row("c", [("", 8)], seed=2)).parent
    (source / "label_map.pbtxt").write_text(LABEL_MAP)
    card = prepare(source, tmp_path / "records")
    assert (card.train.images + card.eval.images, card.train.images_without_boxes) == (2, 0)
    assert kinds(card) == {faults.LABEL_UNKNOWN: ("dropped", 1), faults.IMAGE_UNLABELLED: ("dropped", 1)}


@pytest.mark.parametrize("names", [None, [(0, "helmet"), (1, "vest")], [(1, "vest"), (0, "helmet")]])
def test_ids_from_0_with_texts(tmp_path, row, names):
    """No class is lost and the order stays, with a label map or without; it is said once."""
    source = set_of(tmp_path, row, [("helmet", 0), ("vest", 1)], names)
    card = prepare(source, tmp_path / "records")
    assert card.classes == ("helmet", "vest") and per_class(card) == {"helmet": 4, "vest": 4}
    assert kinds(card) == {faults.LABEL_ID_BELOW_1: ("fixed", 1)}
    assert names is not None or "label_map" not in str(card.faults)


@pytest.mark.parametrize("names", [None, [(0, "helmet"), (1, "vest")], [(1, "helmet"), (2, "vest")]])
def test_ids_from_0_without_texts(tmp_path, row, names):
    """What upstream would take for the background is refused, with the line where a label map has it."""
    source = set_of(tmp_path, row, [("", 0), ("", 1)], names)
    with refused(DatasetError, about="label_map.pbtxt line 1" if names and not names[0][0] else "class 0"):
        prepare(source, tmp_path / "records")


def test_the_backgrounds_item(tmp_path, row):
    """An item of id 0 for the background changes nothing."""
    source = set_of(tmp_path, row, [("", 1), ("", 2)], [(0, "background"), (1, "helmet"), (2, "vest")])
    card = prepare(source, tmp_path / "records")
    assert (card.classes, card.faults) == (("helmet", "vest"), ())


def test_one_id_for_two_classes(tmp_path, row):
    """Texts tell them apart; a number alone does not, and is refused with the line."""
    twice = [(1, "helmet"), (1, "vest"), (4, "boot")]
    source = set_of(tmp_path, row, [("helmet", 1), ("vest", 1), ("boot", 4)], twice)
    card = prepare(source, tmp_path / "records")
    assert per_class(card) == {"helmet": 4, "vest": 4, "boot": 4}
    assert kinds(card) == {faults.LABEL_ID_TWICE: ("fixed", 2), label_map.GAPS: ("fixed", 1)}
    source = set_of(tmp_path, row, [("", 1), ("", 4)], twice)
    with refused(DatasetError, about="label_map.pbtxt line"):
        prepare(source, tmp_path / "records")


def test_one_name_for_two_ids(tmp_path, row):
    """It is one class."""
    source = set_of(tmp_path, row, [("", 1), ("", 2)], [(1, "helmet"), (2, "helmet"), (3, "vest")])
    card = prepare(source, tmp_path / "records")
    assert per_class(card) == {"helmet": 8, "vest": 0} and kinds(card) == {faults.LABEL_TWICE: ("fixed", 1)}


@pytest.mark.parametrize("text", ["Große Katze", "große  katze ", "gro\u00dfe Katze", "GROSSE KATZE", "große_Katze"])
def test_a_name_spelt_in_another_way(tmp_path, row, text):
    """Case, blanks and Unicode's forms make no other class of the label map's; it is counted."""
    source = set_of(tmp_path, row, [(text, 1), ("Ko\u0308ter", 2)], [(1, "Große Katze"), (2, "Köter")])
    card = prepare(source, tmp_path / "records")
    assert per_class(card) == {"Große Katze": 4, "Köter": 4}
    assert kinds(card) == {faults.LABELS_SPELT: ("fixed", 4 if text == "Große Katze" else 8)}


def test_display_names_as_texts(tmp_path, row):
    """Texts may be a label map's display names, as for upstream's decoder."""
    source = set_of(tmp_path, row, [("Person", 1)], [(1, "/m/01g317' display_name: 'Person")])
    card = prepare(source, tmp_path / "records")
    assert (card.classes, card.faults) == (("/m/01g317",), ())


def test_texts_without_a_map_that_contradict_each_other(tmp_path, row):
    """Two texts of one number are two classes; a number alone is then refused."""
    source = set_of(tmp_path, row, [("cat", 1), ("dog", 1), ("cow", 2)])
    card = prepare(source, tmp_path / "records")
    assert card.classes == ("cat", "dog", "cow") and per_class(card) == {"cat": 4, "dog": 4, "cow": 4}
    assert kinds(card) == {faults.LABEL_CONTRADICTS: ("fixed", 4)} and "label map" not in str(card.faults)
    write(source / "val.record", row("v", [("", 1)]))
    with refused(DatasetError, about="cat and dog"):
        prepare(source, tmp_path / "records")


def test_texts_found_later(tmp_path, row):
    """A number alone has the name that another record gives it, whichever comes first, and whatever the split."""
    source = set_of(tmp_path, row, [("", 2), ("", 3)])
    write(source / "val.record", row("v", [("cat", 2), ("dog", 1)], seed=9))
    card = prepare(source, tmp_path / "records")
    assert card.classes == ("dog", "cat", "3") and kinds(card) == {faults.LABEL_NAMELESS: ("kept", 3)}


@pytest.mark.parametrize("encoding", ["gbk", "big5", "shift_jis", "cp1251", "utf-16", "utf-8-sig"])
def test_a_label_map_in_another_encoding(tmp_path, row, encoding):
    """The texts of the records, which are UTF-8, confirm how it is read; they win in any case."""
    names = {"cp1251": ("кот", "пёс"), "shift_jis": ("猫", "犬")}.get(encoding, ("人", "狗"))
    source = set_of(tmp_path, row, [(names[0], 1), (names[1], 2)], list(enumerate(names, 1)), encoding)
    card = prepare(source, tmp_path / "records")
    assert card.classes == names
    assert kinds(card) == ({} if encoding.startswith("utf") else {label_map.ENCODING: ("fixed", 1)})


def test_an_encoding_that_can_not_be_told(tmp_path, row):
    """Without texts, a map in an encoding that two bytes do not tell is refused with the line."""
    source = set_of(tmp_path, row, [("", 1)], [(1, "cat"), (2, "人")], "gbk")
    with refused(DatasetError, where="label_map.pbtxt line 5"):
        prepare(source, tmp_path / "records")


def test_texts_in_another_encoding(tmp_path, row):
    """GBK in class/text is read as such, alone or with a label map that confirms it."""
    boxes = [("安全帽".encode("gbk"), 1), ("反光衣".encode("gbk"), 2), ("cat", 3)]
    card = prepare(set_of(tmp_path, row, boxes), tmp_path / "records")
    assert card.classes == ("安全帽", "反光衣", "cat") and kinds(card) == {label_map.ENCODING: ("fixed", 1)}
    boxes = [("人".encode("gbk"), 1)]
    with refused(DatasetError, where="/set"):
        prepare(set_of(tmp_path, row, boxes), tmp_path / "records")
    card = prepare(set_of(tmp_path, row, boxes, [(1, "人")]), tmp_path / "records")
    assert card.classes == ("人",)


@pytest.mark.parametrize(
    ("text", "line"), [("item {\n  id: 1\n  name: 'a\n}", " line 3"), ("1: cat\n2: dog\n", "label_map.pbtxt")]
)
def test_a_label_map_that_is_none(tmp_path, row, text, line):
    """What is named so and can't be read is refused; another file of that ending is passed over."""
    source = set_of(tmp_path, row, [("", 1)], [])
    (source / "label_map.pbtxt").write_text(text)
    with refused(DatasetError, where=line):
        prepare(source, tmp_path / "records")
    (source / "label_map.pbtxt").rename(source / "graph.pbtxt")
    (source / "graph.pbtxt").write_text("node { name: 'x' }")
    assert prepare(source, tmp_path / "records").classes == ("1",)


def test_damage_is_named_and_the_rest_kept(tmp_path, row):
    """A file cut short gives the records before the cut; images that can't be decoded, or are not there, go."""
    source = tmp_path / "set"
    good = [row(f"{n}", seed=n) for n in range(4)]
    broken = {**row("x"), "image/encoded": ("bytes_list", [b"\xff\xd8 no image"])}
    file = write(source / "a.tfrecord", *good, broken, {"image/filename": ("bytes_list", ["y"])}, row("z", seed=9))
    data = file.read_bytes()
    file.write_bytes(data[:-20])
    card = prepare(source, tmp_path / "records")
    assert kinds(card) == {
        faults.RECORD_DAMAGED: ("dropped", 1),
        faults.IMAGE_UNREADABLE: ("dropped", 1),
        faults.IMAGE_MISSING: ("dropped", 1),
    }
    assert card.train.images + card.eval.images == 4
    assert "cut short at byte" in next(r for r in card.faults if r.kind == faults.RECORD_DAMAGED).examples[0]


def test_boxes_out_of_range(tmp_path, row):
    """Boxes in pixels become fractions; those beyond the edge are clipped; both are counted."""
    pixels = {"xmin": 16.0, "ymin": 12.0, "xmax": 32.0, "ymax": 36.0}
    over = {**BOX, "xmax": 1.2}
    source = write(tmp_path / "set" / "a.record", row("a", corners=pixels), row("b", corners=over, seed=1)).parent
    card = prepare(source, tmp_path / "records")
    assert kinds(card) == {faults.BOX_IN_PIXELS: ("fixed", 1), faults.BOX_CLIPPED: ("fixed", 1)}
    found = {r["image/filename"][0]: r for r in records.read(sorted((tmp_path / "records").glob("*.tfrecord")))}
    assert found[b"a"]["image/object/bbox/xmin"] == [0.25] and found[b"a"]["image/object/bbox/ymax"] == [0.75]
    assert found[b"b"]["image/object/bbox/xmax"] == [1.0]


def test_boxes_turn_with_a_image_that_tensorflow_showed_unturned(tmp_path, row):
    """TensorFlow ignores EXIF, so boxes of a record are in the image as stored; ours turn both."""
    source = write(tmp_path / "set" / "a.record", row("a", orientation=6), row("b", seed=1)).parent
    prepare(source, tmp_path / "records")
    found = {r["image/filename"][0]: r for r in records.read(sorted((tmp_path / "records").glob("*.tfrecord")))}
    corners = [found[b"a"][f"image/object/bbox/{key}"][0] for key in ("xmin", "ymin", "xmax", "ymax")]
    assert corners == pytest.approx([0.25, 0.25, 0.75, 0.5]) and found[b"a"]["image/width"] == [48]


def test_masks_keypoints_and_flags_are_passed_on(tmp_path, row):
    """PNG masks, masks of numbers, keypoints, crowds and groups of a record are in the record made of it."""
    import io

    import numpy as np
    from PIL import Image

    bitmap = np.zeros((48, 64), np.uint8)
    bitmap[12:36, 16:32] = 1
    png = io.BytesIO()
    Image.fromarray(bitmap).save(png, "PNG")
    more = {
        "keypoint__x": ("float_list", [0.3, 0.4]), "keypoint__y": ("float_list", [0.3, 0.5]),
        "keypoint__visibility": ("int64_list", [2, 0]), "is_crowd": ("int64_list", [1]),
        "group_of": ("int64_list", [1]),
    }  # fmt: skip
    rows = [
        row("png", mask=("bytes_list", [png.getvalue()]), **more),
        row("numbers", seed=1, mask=("float_list", bitmap.ravel().astype(float).tolist()), **more),
    ]
    source = write(tmp_path / "set" / "a.record", *rows).parent
    card = prepare(source, tmp_path / "records", masked=True)
    assert card.masks and card.keypoints == 2 and card.faults == ()
    for made in records.read(sorted((tmp_path / "records").glob("*.tfrecord"))):
        mask = np.asarray(Image.open(io.BytesIO(made["image/object/mask"][0])))
        assert (mask == bitmap).all()
        assert made["image/object/keypoint/x"] == pytest.approx([0.3, 0])
        assert made["image/object/keypoint/visibility"] == [2, 0]
        assert made["image/object/is_crowd"] == made["image/object/group_of"] == [1]


def test_images_of_one_name_are_told_apart(tmp_path, row):
    """Pieces cut from one image share its name in many sets: they are all kept."""
    source = write(tmp_path / "set" / "a.record", *(row("same.jpg", seed=n) for n in range(4))).parent
    card = prepare(source, tmp_path / "records")
    assert card.train.images + card.eval.images == 4 and card.faults == ()


def test_records_that_are_damaged_from_the_start(tmp_path, row):
    """They are recognised, so the damage is what is said."""
    import gzip

    file = write(tmp_path / "set" / "a.record", row("a"))
    packed = gzip.compress(file.read_bytes())
    for data in (file.read_bytes()[:-9], packed[:200], packed[:30]):
        file.write_bytes(data)
        with refused(DatasetError, where="/set", flag=faults.RECORD_DAMAGED):
            prepare(file.parent, tmp_path / "records")


def test_what_is_no_set_of_records(tmp_path, row):
    """Files of another kind under such a name, and Examples of something else, are not recognised."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "x.record").write_text("hello, this is a record of nothing at all")
    write(tmp_path / "1" / "y.tfrecord", {"text": ("bytes_list", ["hello"])})
    assert reader.recognise(tmp_path / "1") == ""
    write(tmp_path / "2" / "a.record", row("a"))
    (tmp_path / "2" / "a.pbtxt").write_text(LABEL_MAP)
    (tmp_path / "2" / "b.pbtxt").write_text("item { id: 1 name: 'cow' }")
    with refused(DatasetError, where="/2", about="differ"):
        prepare(tmp_path / "2", tmp_path / "records")


def test_compressed_files_among_others(tmp_path, row):
    """Each file as it is packed, whatever its name; one cut short gives what is before the cut."""
    import gzip
    import zlib

    source = tmp_path / "set"
    for number, (name, pack) in enumerate(
        {"train-0.tfrecord": bytes, "train-1.tfrecord.gz": gzip.compress, "val.tfrecord": zlib.compress}.items()
    ):
        file = write(source / name, *(row(f"{number}{n}", seed=10 * number + n) for n in range(3)))
        file.write_bytes(pack(file.read_bytes()))
    card = prepare(source, tmp_path / "records")
    assert (card.format, card.train.images, card.eval.images, card.faults) == ("tfrecord", 6, 3, ())
    file.write_bytes(file.read_bytes()[:-500])
    card = prepare(source, tmp_path / "records")
    assert (card.train.images, card.eval.images) == (6, 2)
    assert kinds(card) == {faults.RECORD_DAMAGED: ("dropped", 1)}
