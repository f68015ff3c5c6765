"""scripts/build-image in a repository of its own; the engine's client is one that writes down what it is given."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CLIENT = """#!/usr/bin/env python3
import json, os, sys
names = ("DETBOX_REVISION", "SOURCE_DATE_EPOCH")
print(json.dumps({"argv": sys.argv[1:], **{name: os.environ.get(name) for name in names}}))
"""


@pytest.fixture
def clone(tmp_path):
    """A repository with the script, one file of code and one commit of a known time."""
    folder = tmp_path / "clone"
    (folder / "scripts").mkdir(parents=True)
    (folder / "app").mkdir()
    shutil.copy2(ROOT / "scripts" / "build-image", folder / "scripts")
    (folder / "app" / "code.py").write_text("1\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(CLIENT)
    (tmp_path / "bin" / "docker").chmod(0o755)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def git(folder, *words) -> str:
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = os.environ | identity | {"GIT_COMMITTER_DATE": "1700000000 +0000"}
    return subprocess.run(["git", *words], cwd=folder, env=environ, check=True, capture_output=True, text=True).stdout


def build(folder, *words) -> dict:
    environ = {**os.environ, "PATH": f"{folder.parent / 'bin'}:{os.environ['PATH']}"}
    environ = {name: value for name, value in environ.items() if name not in ("DETBOX_REVISION", "SOURCE_DATE_EPOCH")}
    script = [folder / "scripts" / "build-image", *words]
    done = subprocess.run(script, cwd=folder.parent, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_build_is_given_the_commit_and_its_time(clone):
    """From any folder; options before `--` are compose's, those after it of its build."""
    given = build(clone, "-f", "a.yaml", "--", "--pull")
    assert given["DETBOX_REVISION"] == git(clone, "rev-parse", "HEAD").strip()
    assert given["SOURCE_DATE_EPOCH"] == "1700000000"
    assert given["argv"] == ["compose", "-f", "a.yaml", "build", "--pull"]
    assert build(clone)["argv"] == ["compose", "build"]


def test_changed_files_are_told(clone):
    """The revision says that the image is not the commit's; what does not get into an image does not count."""
    (clone / "notes.txt").write_text("mine\n")
    assert not build(clone)["DETBOX_REVISION"].endswith("-modified")
    (clone / "app" / "code.py").write_text("2\n")
    assert build(clone)["DETBOX_REVISION"].endswith("-modified")
