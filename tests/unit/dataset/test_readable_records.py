"""What of damaged record files is read, and how many records are not."""

import pytest
from damaged_records import decode, flip, offsets, patterns, spoil_image
from refusals import refused

from app.dataset import integrity, records
from app.dataset.readable_records import ReadableRecords
from app.errors import DatasetError
from app.run.directory import DATASET_CARD

SHARD = "train-00002-of-00004.tfrecord"


def names(source):
    rows = records.read(integrity.files_of(source.paths))
    return sorted(row["image/source_id"][0] for row in rows)


@pytest.fixture
def opened(prepared, tmp_path):
    def make(most):
        return ReadableRecords(patterns(prepared), tmp_path / "readable", most)

    return make


def test_whole_records_are_read_where_they_are(opened, prepared, tmp_path):
    """Nothing is written."""
    source = opened(3)
    assert not source.skip() and source.paths == patterns(prepared) and not (tmp_path / "readable").exists()


@pytest.mark.parametrize(
    "damage, lost",
    [
        (lambda path, at: flip(path, at[1] + 300), 1),
        (lambda path, at: (flip(path, at[0] + 300), flip(path, at[2] + 300)), 2),
        (lambda path, at: flip(path, at[1] + 2), 2),  # the length, which says where the next begins
        (lambda path, at: path.write_bytes(path.read_bytes()[: at[2] + 9]), 1),
        (lambda path, at: path.write_bytes(path.read_bytes()[: at[1]]), 2),
        (lambda path, at: path.write_bytes(b""), 3),
        (lambda path, at: path.unlink(), 3),
    ],
    ids=["data", "two", "length", "cut", "cut between", "emptied", "removed"],
)
def test_the_rest_is_read_and_what_is_lost_counted(opened, prepared, damage, lost):
    """All other records are read, once; one more than may be lost is refused with the file's name and the flag."""
    before = names(opened(0))
    damage(prepared / SHARD, offsets(prepared / SHARD))
    source = opened(lost)
    assert source.skip() and source.skipped == lost and not source.skip()
    assert len(names(source)) == 12 - lost and set(names(source)) < set(before)
    assert SHARD in str(source) and str(lost) in str(source)
    with refused(DatasetError, where=SHARD, flag="--skip_corrupt_records"):
        opened(lost - 1).skip()


def test_images_that_can_not_be_decoded_are_left_out_too(opened, prepared):
    """Where contents are looked at."""
    spoil_image(prepared / SHARD, 1)
    source = opened(1)
    assert not source.skip() and source.skip(decode) and source.skipped == 1
    assert len(names(source)) == 11


def test_what_can_not_be_counted_is_refused(opened, prepared):
    """Without a card, what follows a broken length."""
    at = offsets(prepared / SHARD)
    source = opened(5)
    (prepared / DATASET_CARD).unlink()
    flip(prepared / SHARD, at[1] + 300)
    assert source.skip() and source.skipped == 1
    flip(prepared / SHARD, at[1] + 2)
    with refused(DatasetError, where=SHARD, about=str(at[1])):
        source.skip()


def test_a_set_without_a_readable_record_is_refused(opened, prepared):
    """However many may be passed over."""
    for path in prepared.glob("train-*"):
        path.write_bytes(b"")
    with refused(DatasetError):
        opened(100).skip()
