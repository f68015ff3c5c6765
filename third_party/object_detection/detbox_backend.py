"""PEP 517 backend of the root project: setuptools, with `object-detection` pointed at this folder.

PyPI has an unrelated project named `object-detection`. uv finds ours through `tool.uv.sources`; pip knows no
such table, so the metadata that this backend writes names the folder's file URL in place of the version pin.
Where the folder is absent the pin stays: its local version label cannot exist on PyPI, and the installation
fails instead of taking the stranger.
"""

import base64
import hashlib
import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403

PROJECT = "object-detection"
FOLDER = Path(__file__).resolve().parent


def _direct(metadata: str) -> str:
    """METADATA with the requirement on our OD API turned into a direct reference."""
    if not (FOLDER / "patches" / "series").is_file():
        return metadata
    lines = metadata.split("\n")
    for i, line in enumerate(lines):
        if line.startswith(f"Requires-Dist: {PROJECT}=="):
            lines[i] = f"Requires-Dist: {PROJECT} @ {FOLDER.as_uri()}"
    return "\n".join(lines)


def _rewrite(wheel: Path) -> None:
    """Write the wheel anew with its METADATA changed and RECORD to match."""
    with zipfile.ZipFile(wheel) as old:
        entries = [(info, old.read(info)) for info in old.infolist()]
    rows: dict[str, str] = {}
    for i, (info, content) in enumerate(entries):
        if info.filename.endswith(".dist-info/METADATA"):
            content = _direct(content.decode()).encode()
            entries[i] = (info, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows[info.filename] = f"{info.filename},sha256={digest},{len(content)}"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as new:
        for info, content in entries:
            if info.filename.endswith(".dist-info/RECORD"):
                lines = content.decode().splitlines()
                content = ("\n".join(rows.get(line.split(",")[0], line) for line in lines) + "\n").encode()
            new.writestr(info, content, zipfile.ZIP_DEFLATED)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    name = build_meta.prepare_metadata_for_build_wheel(metadata_directory, config_settings)
    path = Path(metadata_directory) / name / "METADATA"
    path.write_text(_direct(path.read_text(encoding="utf-8")), encoding="utf-8")
    return name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    _rewrite(Path(wheel_directory) / name)
    return name


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    _rewrite(Path(wheel_directory) / name)
    return name
