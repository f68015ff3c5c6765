"""Record files that are not what `prepare` wrote, and which record it is."""

import dataclasses
import threading

import pytest
from damaged_records import decode, flip, offsets, patterns, spoil_image
from refusals import refused

from app.dataset import card as cards
from app.dataset import integrity
from app.dataset.preparation import prepare
from app.errors import DatasetError
from app.run.directory import DATASET_CARD
from app.run.files import read_json, write_json


def test_the_card_has_each_file_as_it_is(prepared):
    """Name, number of records, size and SHA-256; the card survives JSON, and one without them is read."""
    card = cards.read(prepared)
    assert [(file.name, file.records) for file in card.train.files] == [
        (f"train-{n:05d}-of-00004.tfrecord", 3) for n in range(4)
    ]
    assert all((prepared / file.name).stat().st_size == file.bytes for file in card.train.files)
    assert integrity.find_changed(prepared, card.train.files + card.eval.files) is None
    row = read_json(prepared / DATASET_CARD)
    del row["splits"]["train"]["files"]
    assert cards.from_json(row) == dataclasses.replace(
        card, splits={"train": dataclasses.replace(card.train, files=None), "eval": card.eval}
    )


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
    "joined": lambda path: path.write_bytes(path.read_bytes() * 2),
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("split", ["train", "eval"])
def test_a_file_of_another_size_is_refused_and_made_again(prepared, voc, kind, split, caplog):
    """By the start of a service, with the file's name; the next prepare says so, and makes all again."""
    card = cards.read(prepared)
    file = getattr(card, split).files[-1]
    where = patterns(prepared, split)
    DAMAGES[kind](prepared / file.name)
    with refused(DatasetError) as caught:
        integrity.check_sizes(where)
    assert "prepare" in caught.value.remedy
    assert file.name in caught.value.where
    prepare(prepared.parent / "voc", prepared)
    assert file.name in caplog.text
    integrity.check_sizes(where)
    assert cards.read(prepared) == card


def test_a_card_of_an_older_version(prepared):
    """Tells the number of files, and that one is empty."""
    row = read_json(prepared / DATASET_CARD)
    for split in row["splits"].values():
        del split["files"]
    write_json(prepared / DATASET_CARD, row)
    integrity.check_sizes(patterns(prepared))
    last = prepared / "train-00003-of-00004.tfrecord"
    last.write_bytes(b"")
    with refused(DatasetError, where=last.name):
        integrity.check_sizes(patterns(prepared))
    last.unlink()
    with refused(DatasetError, about="3 of 4"):
        integrity.check_sizes(patterns(prepared))


def test_the_record_that_is_damaged_is_named(prepared):
    """A flipped bit, an image that can't be decoded: shard, record and offset, and to remove the shard."""
    shard = prepared / "train-00002-of-00004.tfrecord"
    at = offsets(shard)[1]
    assert integrity.find_damage(patterns(prepared), decode) is None
    spoil_image(shard, 1)
    found = integrity.find_damage(patterns(prepared), decode)
    assert found.where == str(shard) and f"record 1 at byte {at}" in found.what and "remove" in found.remedy
    flip(shard, at + 300)
    found = integrity.find_damage(patterns(prepared), decode)
    assert found.where == str(shard) and f"byte {at} (record 1)" in found.what
    shard.unlink()
    assert "missing" in integrity.find_damage(patterns(prepared), decode).what
    (prepared / "none-1").touch()
    for name in ("none-*", "other-*"):
        with refused(DatasetError, where=name):
            integrity.check_sizes([f"{prepared}/{name}"])


def test_contents_are_checked_beside_the_work(prepared):
    """Another set's shard of the same size is found by its hash, once, by a thread."""
    found, done = [], threading.Event()

    def on_damage(error):
        found.append(error)
        done.set()

    spoil_image(prepared / "train-00000-of-00004.tfrecord", 2)
    integrity.check_contents_beside(patterns(prepared), on_damage)
    assert done.wait(20)
    assert found[0].where.endswith("train-00000-of-00004.tfrecord") and "remove" in found[0].remedy
