"""TFRecord files and tf.train.Example, without TensorFlow."""

import gzip
import random
import struct
import zlib

import pytest
from refusals import refused

from app.dataset import example, records
from app.errors import DatasetError

KNOWN = "06000000000000007369d537646574626f7833eecd34"
FEATURES = {
    "b": ("bytes_list", [b"\0\xff", "ä"]),
    "f": ("float_list", [0.5, 1.0]),
    "i": ("int64_list", [-1, 1 << 40]),
}


def write(path, *data):
    with open(path, "wb") as file:
        for one in data:
            records.append(file, one)
    return path


def test_round_trip(tmp_path):
    """What is written is read, in order, over several files."""
    one = write(tmp_path / "1", example.encode(FEATURES), example.encode({"e": ("int64_list", [])}))
    two = write(tmp_path / "2", example.encode({}))
    assert list(records.read([one, two])) == [
        {"b": [b"\0\xff", "ä".encode()], "f": [0.5, 1.0], "i": [-1, 1 << 40]}, {"e": []}, {}
    ]  # fmt: skip


def test_checksum_is_the_documented_one(tmp_path):
    """A known record of TensorFlow's own writer: `tf.io.TFRecordWriter(p).write(b"detbox")`."""
    assert write(tmp_path / "1", b"detbox").read_bytes().hex() == KNOWN


def test_examples_are_deterministic():
    """Equal features give equal bytes, whatever the order of keys."""
    assert example.encode(FEATURES) == example.encode(dict(reversed(FEATURES.items())))


@pytest.mark.parametrize("cut", [1, 4, 10, 17, 20])
def test_a_file_cut_short_is_refused(tmp_path, cut):
    """The error names the file and says that it is cut short."""
    path = write(tmp_path / "1", b"first", b"second")
    path.write_bytes(path.read_bytes()[:-cut])
    with refused(DatasetError, where="/1", about="21"):
        list(records.read_raw(path))


@pytest.mark.parametrize("at", [0, 8, 12, 17])
def test_a_flipped_bit_is_found(tmp_path, at):
    """Length, data and both checksums are checked."""
    path = write(tmp_path / "1", b"first")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with refused(DatasetError, where="/1", about="damaged"):
        list(records.read_raw(path))


def test_other_contents_are_refused(tmp_path):
    """Missing files and records of something else give an error, not a traceback."""
    with refused(DatasetError, where="/none", about="can't"):
        list(records.read([tmp_path / "none"]))
    with refused(DatasetError, where="/1", about="tf.train.Example"):
        list(records.read([write(tmp_path / "1", b"\xff\xff\xff")]))
    (tmp_path / "2").write_bytes(struct.pack("<Q", 1 << 60) + b"1234")
    with refused(DatasetError, where="/2", about="damaged"):
        list(records.read([tmp_path / "2"]))


def plain(tmp_path, *data):
    return write(tmp_path / "plain", *data).read_bytes()


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, lambda data: gzip.compress(data) + b"\0" * 100_000])
def test_compressed_records(tmp_path, pack):
    """Files of gzip and zlib are told by their contents; a record is read back by its offset, in any order."""
    rows = [random.Random(seed).randbytes(seed * 999 % 100_000) for seed in range(400)]
    path = tmp_path / "packed"
    path.write_bytes(pack(plain(tmp_path, *rows)))
    found = list(records.scan(path))
    assert [data for _, data in found] == rows
    order = random.Random(1).sample(range(len(rows)), len(rows))
    assert all(records.read_at(path, found[number][0]) == rows[number] for number in order)


def test_compressed_files_joined(tmp_path):
    """What `cat` makes of gzip files is one."""
    (tmp_path / "1").write_bytes(gzip.compress(plain(tmp_path, b"a")) + gzip.compress(plain(tmp_path, b"b", b"c")))
    assert list(records.read_raw(tmp_path / "1")) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: data + b"garbage", lambda data: data[:-4] + b"0000"]
)
def test_damaged_compression(tmp_path, pack, damage):
    """Records before a cut, rubbish at the end or a wrong checksum are given, then the damage is named."""
    path = tmp_path / "packed"
    path.write_bytes(damage(pack(plain(tmp_path, b"first" * 30_000, b"second"))))
    found = records.read_raw(path)
    assert next(found) == b"first" * 30_000
    with refused(DatasetError, where="/packed", about="damaged"):
        list(found)


def test_a_file_that_unpacks_to_much_more(tmp_path):
    """A length that the contents do not have is refused without unpacking them into memory."""
    import tracemalloc

    (tmp_path / "1").write_bytes(gzip.compress(plain(tmp_path, b"a") + b"\0" * (200 << 20), 1))
    tracemalloc.start()
    with refused(DatasetError, about="damaged"):
        list(records.read_raw(tmp_path / "1"))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_shard_names_match_their_pattern(tmp_path):
    """The pattern finds the shards of its split and count only."""
    for split, count in (("train", 2), ("eval", 2), ("train", 3)):
        for index in range(count):
            (tmp_path / records.shard_name(split, index, count)).touch()
    found = sorted(path.name for path in tmp_path.glob(records.pattern("train", 2)))
    assert found == ["train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"]


IMAGE = {
    "image/source_id": ("bytes_list", ["a.jpg"]),
    "image/encoded": ("bytes_list", [b"x"]),
    "image/object/class/label": ("int64_list", [1]),
    "image/object/class/text": ("bytes_list", ["cat"]),
    **{f"image/object/bbox/{side}min": ("float_list", [0.25]) for side in "xy"},
    **{f"image/object/bbox/{side}max": ("float_list", [0.5]) for side in "xy"},
}


@pytest.mark.parametrize(
    "changed",
    [
        {"image/source_id": ("bytes_list", [])},
        {"image/encoded": ("int64_list", [1])},
        {"image/object/class/text": ("bytes_list", ["cat", "dog"])},
        {"image/object/class/label": ("bytes_list", ["cat"])},
        {"image/object/bbox/xmin": ("float_list", [0.5, 0.5])},
        {"image/object/bbox/ymax": ("float_list", [float("nan")])},
        {"image/object/bbox/ymax": ("float_list", [0.25])},
        {"image/object/bbox/xmin": ("float_list", [-1.0])},
        {"image/object/is_crowd": ("int64_list", [0, 1])},
    ],
)
def test_records_of_others_are_no_internal_error(tmp_path, changed):
    """Whole records in whose place `prepare` would have put others: the file and the record are named."""
    write(tmp_path / "1", example.encode(IMAGE), example.encode(IMAGE | changed))
    with refused(DatasetError, where="1", flag="detbox prepare", about="record 1"):
        list(records.read_examples(tmp_path, "1"))


def test_an_image_in_a_record_that_can_not_be_decoded(tmp_path):
    """Is named."""
    write(tmp_path / "1", example.encode(IMAGE))
    (found,) = records.read_examples(tmp_path, "1")
    with refused(DatasetError, where="a.jpg", flag="detbox prepare"):
        found.pixels()


def test_a_place_behind_the_end(tmp_path):
    """Of a file that has become shorter."""
    path = write(tmp_path / "1", b"x")
    with refused(DatasetError, where="1", about="cut short"):
        records.read_at(path, path.stat().st_size)
