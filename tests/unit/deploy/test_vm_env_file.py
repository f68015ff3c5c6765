"""The settings of a VM, which Compose, the containers and the VM's service each read."""

import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from app.environment import load

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "deploy" / "host"))
env_file = importlib.import_module("env_file")
WRITTEN = yaml.safe_load((ROOT / "deploy" / "cloud-init.yaml").read_text())["write_files"][0]["content"]
LINES = re.findall(r"^#?(\w+=.*)$", WRITTEN, re.MULTILINE)
"""All that the user data proposes, each as if it were taken."""


def test_quotes_and_comments_are_no_part_of_a_value(tmp_path):
    """The last line of a name wins; nothing is put in for `$`."""
    path = tmp_path / "env"
    lines = ["# A=1", "A=b # c", "export B='x # \"$y\"' # z", 'C="d e"', "D=", "A=last", "E=a#b", "", "no line"]
    path.write_text("\n".join(lines))
    expected = {"A": "last", "B": 'x # "$y"', "C": "d e", "D": "", "E": "a#b"}
    assert env_file.read_env(path) == expected
    assert env_file.read_env(tmp_path / "absent") == {}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:40])
def test_what_is_proposed_is_read_alike_by_detbox(line, tmp_path):
    """By its own reader of `.env`, which takes every name."""
    path = tmp_path / "env"
    path.write_text(f"{line}\n")
    assert env_file.read_env(path) == dotenv_values(stream=io.StringIO(line))
    load({}, {}, path)


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs Docker Compose")
@pytest.mark.parametrize("name", ["DETBOX_WHEN_DONE", "DETBOX_DATA_COPY", "DETBOX_LOGIN"])
def test_commands_are_read_alike_by_compose(name, tmp_path):
    """Without a word about variables that are not set."""
    commands = [line for line in LINES if line.startswith(name)]
    assert len(commands) > 1
    files = {"compose.yaml": "services:\n  x: {image: y, env_file: .env}\n"}
    for number, line in enumerate(commands):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file, text in (files | {".env": f"{line}\n"}).items():
            (folder / file).write_text(text)
        argv = ["docker", "compose", "config", "--format", "json"]
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        done = subprocess.run(argv, cwd=folder, env=kept, capture_output=True, text=True)
        if "is not a docker command" in done.stderr:
            pytest.skip("needs Docker Compose")
        assert (done.returncode, done.stderr) == (0, "")
        found = json.loads(done.stdout)["services"]["x"]["environment"][name]
        assert found.replace("$$", "$") == env_file.read_env(folder / ".env")[name]


def test_the_run_is_called_as_detbox_calls_it():
    """Given, or derived from the data set's folder."""
    assert env_file.run_name({}) == load({}, {}, None).run_name
    for settings in ({"DETBOX_DATASET": "data/red wheels/"}, {"DETBOX_DATASET": "data/x", "DETBOX_RUN": "r"}):
        assert env_file.run_name(settings) == load({}, settings, None).run_name
