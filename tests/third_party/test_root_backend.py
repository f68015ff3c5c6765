"""pip finds our OD API, never PyPI's unrelated project of the same name."""

import base64
import hashlib
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "third_party" / "object_detection"
sys.path.insert(0, str(SOURCE))

detbox_backend = pytest.importorskip("detbox_backend", reason="needs setuptools")

METADATA = "Name: detbox\nRequires-Dist: object-detection==0.1+detbox.1\nRequires-Dist: rich>=13\n"


def test_requirement_becomes_a_file_url():
    """Beside the patches, the pin turns into this folder's URL and nothing else changes."""
    url = f"object-detection @ {SOURCE.as_uri()}"
    assert detbox_backend._direct(METADATA) == METADATA.replace("object-detection==0.1+detbox.1", url)


def test_pin_stays_without_the_folder(tmp_path, monkeypatch):
    """Without the patches the exact local version is required, which PyPI cannot serve."""
    monkeypatch.setattr(detbox_backend, "FOLDER", tmp_path)
    assert detbox_backend._direct(METADATA) == METADATA


def test_rewritten_wheel_has_a_true_record(tmp_path):
    """RECORD names the hash and size of the METADATA that the wheel then holds."""
    wheel = tmp_path / "detbox-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as new:
        new.writestr("detbox-0.dist-info/METADATA", METADATA)
        new.writestr("detbox-0.dist-info/RECORD", "detbox-0.dist-info/METADATA,sha256=x,1\n")
    detbox_backend._rewrite(wheel)
    with zipfile.ZipFile(wheel) as rewritten:
        content = rewritten.read("detbox-0.dist-info/METADATA")
        name, digest, size = rewritten.read("detbox-0.dist-info/RECORD").decode().strip().split(",")
    assert name.endswith("METADATA") and int(size) == len(content)
    assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def test_versions_agree():
    """The root project requires exactly the version that the source package has, by a local label."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    version = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]["version"]
    assert "+" in version
    assert f"object-detection=={version}" in root["project"]["dependencies"]
    assert root["tool"]["uv"]["sources"]["object-detection"] == {"path": "third_party/object_detection"}
