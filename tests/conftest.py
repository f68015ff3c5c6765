"""Fixtures that every part of the tests shares."""

import os
from pathlib import Path

import hypothesis
import pytest

# Who runs the tests may be on a cloud: only a test's own server is asked whether it takes the machine.
os.environ.setdefault("DETBOX_PREEMPTION_NOTICE", "off")

# How long a machine takes that does other work as well is no property of the code.
hypothesis.settings.register_profile("detbox", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("detbox")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real images and weights: DETBOX_TEST_DATA, or ../shared/data beside the checkout."""
    given = os.environ.get("DETBOX_TEST_DATA")
    path = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs real data: no folder {path} (DETBOX_TEST_DATA)")
    return path
