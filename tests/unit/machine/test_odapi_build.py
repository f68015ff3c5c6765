"""Whether the installed OD API is the one that this checkout patches."""

import hashlib

import pytest

from app.errors import PatchMismatchError
from app.machine import odapi_build
from app.run.files import write_json


@pytest.fixture
def od_api(tmp_path):
    """An installed OD API with its record, and the patches that it was built with."""
    series, installed = tmp_path / "patches", tmp_path / "object_detection"
    series.mkdir()
    installed.mkdir()
    hashes = []
    for name in ("0001-a.patch", "0002-b.patch"):
        (series / name).write_text(name)
        hashes.append({"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()})
    (series / "series").write_text("# order\n0001-a.patch\n0002-b.patch\n")
    write_json(installed / odapi_build.BUILD_RECORD, {"version": "0.1", "patches": hashes})
    return installed, series


def test_an_od_api_of_this_checkout_is_accepted(od_api):
    """Same patches, same order."""
    assert odapi_build.verify(*od_api)["version"] == "0.1"


@pytest.mark.parametrize("change", ["edited", "added", "removed", "reordered", "stock", "lost"])
def test_any_other_od_api_is_refused(od_api, change):
    """Exit code 5 with the patch by name, and how to fix it."""
    installed, series = od_api
    name = "0002-b.patch"
    if change == "edited":
        (series / name).write_text("other")
    elif change == "added":
        name = "0003-c.patch"
        (series / name).write_text("new")
        (series / "series").write_text("0001-a.patch\n0002-b.patch\n0003-c.patch\n")
    elif change == "removed":
        (series / "series").write_text("0001-a.patch\n")
    elif change == "reordered":
        name = "order of the series"
        (series / "series").write_text("0002-b.patch\n0001-a.patch\n")
    elif change == "stock":
        name = "not detbox's build"
        (installed / odapi_build.BUILD_RECORD).unlink()
    else:
        (series / name).unlink()
    with pytest.raises(PatchMismatchError, match=name) as caught:
        odapi_build.verify(installed, series)
    assert caught.value.exit_code == 5
    assert "--reinstall-package object-detection" in str(caught.value)
