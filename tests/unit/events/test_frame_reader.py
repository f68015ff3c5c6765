"""Reading records of files that something has happened to."""

import pytest

from app.events import frame_reader
from app.events.frame_reader import FrameReader
from app.tfrecord import frame

RECORDS = [bytes([number]) * (number * 7 + 1) for number in range(40)]


def offsets():
    at, found = 0, []
    for record in RECORDS:
        found.append(at)
        at += len(frame(record))
    return found


def read(tmp_path, data):
    path = tmp_path / "events"
    path.write_bytes(data)
    reader = FrameReader(path)
    found = list(reader)
    assert reader.size == len(data)
    return found, [(fault.offset, fault.size, fault.is_tail) for fault in reader.faults]


@pytest.fixture(autouse=True, params=[1 << 20, 64, 300])
def _chunk(request, monkeypatch):
    """Records lie across the pieces that a file is read in."""
    monkeypatch.setattr(frame_reader, "CHUNK", request.param)


WHOLE = b"".join(map(frame, RECORDS))


def test_records_come_with_their_offsets(tmp_path):
    """All of a sound file."""
    assert read(tmp_path, WHOLE) == (list(zip(offsets(), RECORDS, strict=True)), [])


def test_an_empty_file_has_none(tmp_path):
    """It is sound."""
    assert read(tmp_path, b"") == ([], [])


@pytest.mark.parametrize("cut", [1, 4, 5, 13, 17, 100, 274])
def test_a_cut_tail_is_a_fault(tmp_path, cut):
    """What is whole before it is read; the rest is told."""
    found, faults = read(tmp_path, WHOLE[:-cut])
    at = offsets()[len(found)]
    assert [data for _, data in found] == RECORDS[: len(found)] and len(found) in (38, 39, 40)
    assert faults == [(at, len(WHOLE) - cut - at, True)]


@pytest.mark.parametrize("part", [0, 9, 12, 20, -1])
def test_after_a_damaged_record_the_next_is_found(tmp_path, part):
    """Whether its length, the checksum of that, its data or their checksum is wrong."""
    begin, end = offsets()[20], offsets()[21]
    data = bytearray(WHOLE)
    data[begin + part if part >= 0 else end - 1] ^= 0x55
    found, faults = read(tmp_path, bytes(data))
    assert [one for _, one in found] == RECORDS[:20] + RECORDS[21:]
    assert faults == [(begin, end - begin, False)]


def test_bytes_that_are_missing_cost_the_records_they_were_of(tmp_path):
    """As where a disk lost a block: the length that is left leads into a later record."""
    begin, end = offsets()[20] + 30, offsets()[23] + 5
    found, faults = read(tmp_path, WHOLE[:begin] + WHOLE[end:])
    assert [one for _, one in found] == RECORDS[:20] + RECORDS[24:]
    assert faults == [(offsets()[20], 30 + offsets()[24] - end, False)]


def test_zeros_and_foreign_bytes_are_passed(tmp_path):
    """A hole of a crashed file system, then text."""
    hole = bytes(5000) + b"no record" * 20
    found, faults = read(tmp_path, WHOLE + hole + WHOLE)
    assert [one for _, one in found] == RECORDS + RECORDS
    assert faults == [(len(WHOLE), len(hole), False)]


def test_a_file_of_something_else_has_no_records(tmp_path):
    """All of it is a fault."""
    assert read(tmp_path, b"PNG" * 1000) == ([], [(0, 3000, True)])
