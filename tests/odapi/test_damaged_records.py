"""Record files that are damaged before or in the middle of training, or of an evaluation."""

import time

import pytest
from command import detbox, place, start
from damaged_records import flip, offsets, spoil_image

from app.run.directory import Run
from app.run.files import read_json, read_lines

pytestmark = pytest.mark.odapi
TRAIN = ["--batch_size=2", "--log_every_n=5", "--summary_every_n=50", "--checkpoint_every_n=1000",
         "--image_summary_every_n=0", "--warmup_steps=2"]  # fmt: skip


def shards(run: Run, split: str):
    return sorted(run.records.glob(f"{split}-*.tfrecord"))


def last(text: str) -> str:
    return text.splitlines()[-1]


def wait_for(condition, process, seconds=300):
    ends = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < ends
        time.sleep(0.1)


def test_a_bit_that_flips_in_mid_training(fresh):
    """The exact step is saved; exit 4 names the shard, the record and its offset. Removed as it says, prepare makes
    the shard again, and training goes on from there."""
    shard = shards(fresh, "train")[1]
    process = start("train", *place(fresh), *TRAIN, "--num_train_steps=100000")
    wait_for(lambda: len(read_lines(fresh.metrics)) >= 2, process)
    at = offsets(shard)[2]
    flip(shard, at + 500)
    assert process.wait(300) == 4
    beat = read_json(fresh.status("trainer"))
    assert beat["state"] == "failed" and shard.name in beat["reason"]
    assert "(record 2)" in beat["reason"] and f"byte {at}" in beat["reason"]
    saved = fresh.checkpoint_steps()
    assert saved and saved[-1] == beat["step"] >= 10
    assert not fresh.done.exists()


def test_corrupt_records_are_passed_over_up_to_the_number_given(fresh):
    """One that is corrupt at the start and one that becomes so in mid-training are counted, and training goes on at
    the step where it was; with a smaller number it ends with exit 4."""
    one, two = shards(fresh, "train")[:2]
    flip(one, offsets(one)[0] + 400)
    at = offsets(two)[1]
    flags = [*place(fresh), *TRAIN, "--num_train_steps=100000"]
    process = start("train", *flags, "--skip_corrupt_records=2")
    wait_for(lambda: len(read_lines(fresh.metrics)) >= 2, process)
    assert read_lines(fresh.metrics)[0]["skipped_records"] == 1
    flip(two, at + 400)
    wait_for(lambda: read_lines(fresh.metrics)[-1].get("skipped_records") == 2, process)
    process.terminate()
    assert process.wait(300) == 143
    found = [row["step"] for row in read_lines(fresh.metrics)]
    assert found == sorted(set(found))
    result = detbox("train", *flags, "--skip_corrupt_records=1")
    assert result.returncode == 4, result.stderr
    assert one.name in last(result.stderr) and "--skip_corrupt_records" in last(result.stderr)


def test_what_is_damaged_before_training(fresh):
    """A flipped bit is found while training begins, an emptied shard before: exit 4 with the shard's name."""
    shard, other = shards(fresh, "train")[1:3]
    at = offsets(shard)[3]
    flip(shard, at + 400)
    flags = [*place(fresh), *TRAIN, "--num_train_steps=100000"]
    result = detbox("train", *flags)
    assert result.returncode == 4, result.stderr
    assert shard.name in last(result.stderr) and f"byte {at}" in last(result.stderr)
    other.write_bytes(b"")
    result = detbox("train", *flags)
    assert result.returncode == 4, result.stderr
    assert other.name in last(result.stderr) and "prepare" in last(result.stderr)


def test_a_damaged_evaluation_shard_ends_the_evaluator(fresh):
    """Flipped, undecodable, cut, emptied or removed: exit 4 names it."""
    result = detbox("train", *place(fresh), *TRAIN, "--num_train_steps=4")
    assert result.returncode == 0, result.stderr
    shard = shards(fresh, "eval")[0]
    whole = shard.read_bytes()
    at = offsets(shard)[1]

    def evaluate():
        result = detbox("evaluate", *place(fresh), "--once")
        assert result.returncode == 4, result.stderr
        assert shard.name in last(result.stderr)
        return last(result.stderr)

    flip(shard, at + 400)
    assert f"byte {at}" in evaluate()
    shard.write_bytes(whole)
    spoil_image(shard, 1)
    assert "record 1" in evaluate()
    shard.write_bytes(whole[:-40])
    evaluate()
    shard.unlink()
    evaluate()
    shard.write_bytes(whole)
    result = detbox("evaluate", *place(fresh), "--once")
    assert result.returncode == 0, result.stderr
