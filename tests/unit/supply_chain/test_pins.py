"""What is written down in two places is the same in both."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_images_version_is_that_of_the_project():
    """A label can't be read from a file."""
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert re.findall(r"^ARG VERSION=(.*)$", read("Dockerfile"), re.MULTILINE) == [version]


def test_uv_is_pinned_by_hash():
    """One version, each of its files by hash; the image and scripts/uv install no other."""
    lines = [line.strip(" \\") for line in read("scripts/uv.txt").splitlines() if not line.startswith("#")]
    assert re.fullmatch(r"uv==[\d.]+", lines[0]) and len(lines) > 1
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in lines[1:] if line)
    for name in ("Dockerfile", "scripts/uv"):
        text = read(name)
        assert "--require-hashes" in text and "uv.txt" in text, name


def test_what_builds_our_wheels_is_locked():
    """Each build requirement is in the group that the image takes them from, with its hash."""
    wanted = set()
    for name in ("pyproject.toml", "third_party/object_detection/pyproject.toml"):
        wanted |= {re.split(r"\W", one)[0] for one in tomllib.loads(read(name))["build-system"]["requires"]}
    group = {re.split(r"\W", one)[0] for one in tomllib.loads(read("pyproject.toml"))["dependency-groups"]["build"]}
    locked = {one["name"]: one for one in tomllib.loads(read("uv.lock"))["package"]}
    assert wanted == group
    assert all(wheel["hash"].startswith("sha256:") for name in group for wheel in locked[name]["wheels"])


def test_the_build_sees_only_what_is_in_git(tmp_path):
    """Every line of .dockerignore that lets something in names what is tracked: else a clone can't build."""
    let_in = [line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")]
    for name in let_in:
        done = subprocess.run(["git", "ls-files", "--", name], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode != 0 or done.stdout, name
