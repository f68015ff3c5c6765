"""What a run was made by: settings, versions, patches, data, host, revision."""

import os
import platform
import re
import socket
import subprocess
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from app.humanize import is_size, parse_bytes
from app.run.directory import Run
from app.run.files import read_object, write_json
from app.settings import FIELDS, Settings

USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
"""User and password in an address, such as a mirror's: they belong in no file that is passed on."""

PACKAGES = ("detbox", "object-detection", "tensorflow", "tf-keras", "numpy", "protobuf", "pycocotools")


def collect(
    settings: Settings, build_record: dict[str, Any], fingerprint: str | None, zoo_model: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The content of `run.json`.

    `build_record` is the installed OD API's, `fingerprint` the data set's, `zoo_model` what was recorded when the
    model that training starts from was fetched.
    """
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "settings": {name: _plain(getattr(settings, name)) for name in FIELDS},
        "versions": {"python": platform.python_version(), **{name: package_version(name) for name in PACKAGES}},
        "patches": build_record,
        "dataset_fingerprint": fingerprint,
        "zoo_model": zoo_model,
        "host": {"name": socket.gethostname(), "platform": platform.platform(), "cpus": os.cpu_count()},
        "revision": os.environ.get("DETBOX_REVISION") or _git_revision(),
    }


def read_given(run: Run) -> dict[str, str] | None:
    """The settings that the run was prepared with, of those that were given, as text by name.

    None where it is not recorded: in a run made before it was.
    """
    given = read_object(run.provenance).get("given")
    return {str(name): str(text) for name, text in given.items()} if isinstance(given, dict) else None


def write_given(run: Run, given: Mapping[str, str]) -> None:
    """Records them, beside what else the run's provenance has."""
    write_json(run.provenance, read_object(run.provenance) | {"given": dict(given)})


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return USERINFO.sub("", value) if isinstance(value, str) else value


def package_version(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    try:
        found = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def read_event_log_budget(run: Run) -> int:
    """Bytes that the run's event files may take, as it was given to `prepare`; 0 without a limit."""
    text = str((read_given(run) or {}).get("event_log_budget", FIELDS["event_log_budget"].default))
    return parse_bytes(text) if is_size(text) else 0
