"""The batch size in `run.json`."""

import pytest

from app.pipeline import batch_size_record
from app.pipeline.batch_search import Try
from app.pipeline.batch_size_record import BatchSize
from app.run import provenance
from app.run.directory import Run
from app.run.files import read_object, write_json

CHOSEN = BatchSize(
    4, "8 take 3 GB", "2.5 GB of host memory", "host with 4 GB", "abc",
    (Try(4, True, 2 * 10**9, 3.25), Try(8, False, 3 * 10**9, why="take 3 GB")),
)  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A run with a provenance that says something else."""
    write_json(tmp_path / "run.json", {"dataset": "x"})
    return Run(tmp_path)


def test_is_read_as_it_was_written(run):
    """And what else is there stays."""
    batch_size_record.write(run, CHOSEN)
    assert batch_size_record.read(run) == CHOSEN
    assert read_object(run.provenance)["dataset"] == "x"


def test_survives_what_the_trainer_records(run):
    """Which is all else that a run was made by."""
    batch_size_record.write(run, CHOSEN)
    provenance.write_record(run, {"versions": {}}, {"batch_size": "auto"})
    assert batch_size_record.read(run) == CHOSEN
    assert read_object(run.provenance)["given"] == {"batch_size": "auto"}


@pytest.mark.parametrize("held", [None, 5, {}, {"batch_size": 0}, {"batch_size": "4"}])
def test_nothing_to_read(run, held):
    """Without one, or with one that a hand has changed."""
    write_json(run.provenance, {"batch_search": held})
    assert batch_size_record.read(run) is None


def test_table():
    """One line a try."""
    heads, fits, fails = CHOSEN.table()
    assert heads.split() == ["images", "memory", "images/s", "outcome"]
    assert fits.split() == ["4", "2.0", "GB", "3.25", "fits"] and fails.split()[-3:] == ["take", "3", "GB"]
