"""What a service leaves of how it ended."""

import pytest

from app.errors import DatasetError
from app.jobs import train
from app.run.directory import Run
from app.run.files import read_json


def test_the_error_is_in_the_heartbeat(tmp_path):
    """As the reason for which the trainer failed."""
    run = Run(tmp_path)
    train._record_exit(run, "failed", 9, DatasetError("is cut", where="shard 3"))
    assert read_json(run.status("trainer"))["reason"] == "shard 3: is cut"


@pytest.mark.parametrize("number", [28, 30])
def test_a_disk_that_can_not_be_written_hides_no_error(tmp_path, monkeypatch, number):
    """The heartbeat is left out; what is told is the error."""

    def refuse(*arguments, **values):
        raise OSError(number, "can't write")

    monkeypatch.setattr(train, "write_heartbeat", refuse)
    train._record_exit(Run(tmp_path), "failed", 9, DatasetError("is cut"))
