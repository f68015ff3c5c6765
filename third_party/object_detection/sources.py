"""Fetch the pinned upstream archives through the configured index."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ATTEMPTS = 2


class SourceError(Exception):
    """An upstream archive cannot be had or is not the pinned one; the message carries the remedy."""


@dataclass(frozen=True)
class Archive:
    project: str
    version: str
    filename: str
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.project}=={self.version}"


SDIST = Archive(
    "tf-object-detection-api",
    "0.1",
    "tf_object_detection_api-0.1.tar.gz",
    "84218d7f72d48d2a9035df044880694627baf1e9845ecc63a25b03190cd58257",
)
"""Upstream's last state, protos compiled."""

MODELS_WHEEL = Archive(
    "tf-models-no-deps",
    "2.19.0",
    "tf_models_no_deps-2.19.0-py2.py3-none-any.whl",
    "3e63e65eae8c58d48ec7c0219c8878056ed5e0bd8a6d4923dd59a15c4c0a80dd",
)
"""The three `official` modules that the OD API imports live here, among thousands that it does not."""


def fetch(folder: Path) -> None:
    """Download both archives into `folder` with pip, so that its index, proxy and cache settings count.

    pip runs upstream's `setup.py egg_info` on the way, after the hash check. Without build isolation that
    needs only the setuptools that this package's own build requirements brought, and fetches nothing else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archives = (SDIST, MODELS_WHEEL)
    pinned = folder / "pinned.txt"
    pinned.write_text("".join(f"{a.requirement} --hash=sha256:{a.sha256}\n" for a in archives))
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--no-deps", "--no-build-isolation", "--require-hashes"]
    command += ["--no-binary", SDIST.project, "--only-binary", MODELS_WHEEL.project]
    command += ["--dest", str(folder), "--requirement", str(pinned)]
    for attempt in range(1, ATTEMPTS + 1):
        result = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
        if result.returncode == 0:
            break
        if attempt == ATTEMPTS or "DO NOT MATCH THE HASHES" in result.stderr:
            raise SourceError(explain(result.stderr or result.stdout))
    for archive in archives:
        verify(folder / archive.filename, archive.sha256)


def _environment() -> dict[str, str]:
    """uv's index settings do not reach pip by themselves; a mirror named only to uv must count here too."""
    env = dict(os.environ)
    index = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL")
    if index and "PIP_INDEX_URL" not in env:
        env["PIP_INDEX_URL"] = index.split("=", 1)[1] if index.split("=", 1)[0].isidentifier() else index
    return env


def explain(output: str) -> str:
    if "DO NOT MATCH THE HASHES" in output:
        got = next((line.split()[-1] for line in output.splitlines() if line.strip().startswith("Got")), "another")
        return (
            f"the index serves other archives than the pinned ones (sha256 {got} is not among them): "
            "do not use that index, or point PIP_INDEX_URL at PyPI"
        )
    errors = [line.strip() for line in output.splitlines() if line.strip()]
    cause = next(
        (line for line in reversed(errors) if line.startswith("ERROR:")),
        errors[-1] if errors else "no output",
    )
    return (
        f"cannot fetch {SDIST.requirement} and {MODELS_WHEEL.requirement} ({cause}): "
        "check PIP_INDEX_URL and the network, or put both files into a folder and name it in PIP_FIND_LINKS"
    )


def verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise SourceError(f"{path.name} was not downloaded: check that the index serves exactly this file")
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != expected:
        raise SourceError(
            f"{path.name} has sha256 {actual}, pinned is {expected}: do not use this index, or clear pip's cache"
        )


def unpack_sdist(path: Path, target: Path) -> None:
    """Unpack the regular files of a sdist into `target`, less the top folder; anything unsafe is refused."""
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        for member in members:
            if not (member.isfile() or member.isdir()):
                raise SourceError(f"{path.name} holds a link or device ({member.name}): it is not the pinned archive")
            _check_name(path, member.name)
        for member in members:
            parts = PurePosixPath(member.name).parts[1:]
            if member.isfile() and parts:
                _write(target.joinpath(*parts), tar.extractfile(member))


def unpack_wheel_files(path: Path, files: dict[str, str], target: Path) -> None:
    """Take `files` (name in the wheel -> name under `target`) out of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        for source, name in files.items():
            _check_name(path, name)
            try:
                with wheel.open(source) as stream:
                    _write(target / name, stream)
            except KeyError:
                raise SourceError(f"{path.name} lacks {source}: it is not the pinned archive") from None


def _check_name(archive: Path, name: str) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name:
        raise SourceError(f"{archive.name} holds an unsafe path ({name}): it is not the pinned archive")


def _write(path: Path, stream) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        shutil.copyfileobj(stream, out)
