"""What a run was made by: settings, versions, patches, data, host, revision."""

import dataclasses
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

from app.environment import with_recorded
from app.errors import SettingsError
from app.humanize import is_size, parse_bytes
from app.run.directory import Run
from app.run.files import read_object, write_json
from app.run.lenient_json import count, mapping
from app.settings import FIELDS, Settings, as_text, flag

USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
"""User and password in an address, such as a mirror's: they belong in no file that is passed on."""

AGAIN = "-again"
"""Added to the name of a run that is made again."""
BATCH_SEARCH = "batch_search"
"""The key of the batch size that was searched for, and what was tried; see `pipeline.batch_size_record`."""
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
        "settings": {
            name: _plain(getattr(settings, name)) for name, field in FIELDS.items() if not field.metadata["is_secret"]
        },
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


def write_given(run: Run, given: Mapping[str, str], dataset: str = "") -> None:
    """Records them and the path of the data set, empty for the sample, beside what else the run's provenance has."""
    found = {"given": dict(given), "dataset": dataset_path(dataset)}
    write_json(run.provenance, read_object(run.provenance) | found)


def dataset_path(dataset: str) -> str:
    """The path of a data set as it is recorded, empty for the sample."""
    return str(Path(dataset).resolve()) if dataset else ""


def write_record(run: Run, record: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Writes what `collect` gave, with what `given` was, and keeps what only `prepare` knows."""
    before = read_object(run.provenance)
    kept = {key: before[key] for key in ("dataset", BATCH_SEARCH) if key in before}
    write_json(run.provenance, {**record, "given": dict(given), **kept})


def settings_again(path: Path, settings: Settings) -> Settings:
    """`settings` with those of the run whose provenance is the file `path`, for all that is not given now.

    Its name is that run's with `-again`, unless one is given. Raises SettingsError for what is no provenance.
    """
    found = read_object(path)
    recorded = found.get("settings"), found.get("given")
    if not all(isinstance(some, dict) for some in recorded if some is not None) or recorded == (None, None):
        what = "has no settings of a run" if path.is_file() else "is not there"
        raise SettingsError(what, where=str(path), remedy=f"the run.json of a run: {flag('from_run')}")
    texts = {name: as_text(value) for some in recorded for name, value in (some or {}).items()}
    if texts.get("batch_size") == "auto" and (size := count(mapping(found.get(BATCH_SEARCH)).get("batch_size"))):
        texts["batch_size"] = str(size)  # Another machine would find another.
    kept = {name: text for name, text in texts.items() if text and name in FIELDS and _makes_the_run(name)}
    dataset = found.get("dataset")
    if not isinstance(dataset, str) and not settings.dataset:
        raise SettingsError("does not say what its data set was", where=str(path), remedy=flag("dataset", "FOLDER"))
    again = with_recorded(settings, {**kept, "dataset": str(dataset or "")}, where=str(path))
    return again if settings.run else dataclasses.replace(again, run=f"{path.resolve().parent.name}{AGAIN}")


def describe_differences(path: Path, run: Run) -> list[str]:
    """What else is not as it was for the run whose provenance is the file `path`: the data, versions, patches."""
    before, now = read_object(path), read_object(run.provenance)
    lines = [f"{name} differs" for name in ("dataset_fingerprint", "patches") if before.get(name) != now.get(name)]
    old, new = (some.get("versions") or {} for some in (before, now))
    return lines + [f"{name} was {old[name]}, is {new.get(name)}" for name in old if old[name] != new.get(name)]


def _makes_the_run(name: str) -> bool:
    return name != "dataset" and FIELDS[name].metadata["group"] in {"data", "model", "training", "evaluation"}


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
