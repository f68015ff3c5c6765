"""What is said of the record files when training stalls."""

import os

from app.training import input_state
from app.training.input_state import describe_input


def test_open_files_are_named_with_their_place(tmp_path):
    """A file that is being read has its byte; all of them answer."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    with open(path, "rb", buffering=0) as file:
        file.read(40)
        assert describe_input([str(path)]) == [
            f"{path} is read at byte 40",
            "the first byte of each of 1 record file can be read",
        ]


def test_a_file_that_hangs_and_one_that_is_gone_are_told_apart(tmp_path, monkeypatch):
    """One line each, within the time that the probe has."""
    monkeypatch.setattr(input_state, "PROBE_SECONDS", 0.2)
    fifo, gone = tmp_path / "fifo", tmp_path / "gone"
    os.mkfifo(fifo)
    lines = describe_input([str(fifo), str(gone)])
    assert lines == [f"1 of 2 files without an answer: {fifo}", f"{gone}: No such file or directory"]
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))  # The thread that waits for a writer ends.
