"""Fixtures that every part of the tests shares."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images and weights: DETBOX_TEST_DATA, or ../shared/data beside the checkout."""
    given = os.environ.get("DETBOX_TEST_DATA")
    path = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs real data: no folder {path} (DETBOX_TEST_DATA)")
    return path
