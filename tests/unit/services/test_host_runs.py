"""What of detbox runs on a machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.services import host_runs

ROOT = Path(__file__).parents[3]
LABELS = "com.docker.compose.project={},com.docker.compose.service={},com.docker.compose.project.working_dir=/home/{}"


def engine(argv):
    """Two projects of two users; one of them does not answer."""
    if argv[:2] == ["docker", "ps"]:
        rows = [
            ("1", "detbox-ann", "trainer", "ann"),
            ("2", "detbox-ann", "evaluator", "ann"),
            ("3", "detbox-bob", "trainer", "bob"),
        ]
        return "\n".join(json.dumps({"ID": row[0], "Labels": LABELS.format(*row[1:])}) for row in rows) + "\nno JSON\n"
    if argv[2] == "1":
        run = {"run": "wheels", "step": 70, "of": 900, "done": None, "trainer": "training"}
        return json.dumps({"runs": [{**run, "run": "old", "done": "completed"}, run]})
    return None


def test_a_line_a_project():
    """Whose it is, its services, where it stands, the folder that it was started in."""
    ann, bob = [row for row in host_runs.read_host(engine).running if row.kind == "containers"]
    assert (ann.owner, ann.what, ann.place) == ("detbox-ann", "evaluator, trainer", "/home/ann")
    assert ann.state == "wheels: step 70 of 900, training"
    assert (bob.owner, bob.state) == ("detbox-bob", "no answer")


def test_without_an_engine():
    """It is said that nothing is known of containers."""
    found = host_runs.read_host(lambda argv: None)
    assert "docker" in found.unknown and found.unknown in str(found)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["/opt/env/bin/python", "/opt/env/bin/detbox", "up", "--run=a"], "up"),
        (["python", "-P", "-m", "entrypoint", "train"], "train"),
        (["python", "-m", "entrypoint", "status"], ""),
        (["vim", "entrypoint", "train"], ""),
        (["tensorboard", "--logdir=x"], ""),
        ([], ""),
    ],
)
def test_which_processes_are_ours(words, command):
    """By how detbox is started."""
    assert host_runs._command(words) == command


def test_a_process_of_this_machine():
    """With user, command line, and its number."""
    waits = ROOT / "tests" / "unit"
    argv = [sys.executable, "-m", "entrypoint", "tensorboard", "--run=none-such", f"--models_dir={waits}"]
    with subprocess.Popen(
        argv, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    ) as child:
        try:
            (row,) = [row for row in host_runs.read_host(engine).running if row.place == str(child.pid)]
            assert row.what.startswith("tensorboard --run=none-such")
        finally:
            child.kill()
