"""A small set as records."""

import pytest

from app.dataset.preparation import prepare

DOG = ("dog", 8, 6, 40, 30)


@pytest.fixture
def prepared(voc, tmp_path):
    """A folder of records: four shards of three images to train on, one of four to evaluate on."""
    names = [f"p{n:02d}" for n in range(16)]
    prepare(voc({name: [DOG] for name in names}, {"train": names[:12], "val": names[12:]}), tmp_path / "records")
    return tmp_path / "records"
