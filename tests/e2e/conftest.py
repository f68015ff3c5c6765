"""The trio as a user starts it: one command, three processes."""

import subprocess
import sys

import pytest
from command import ROOT, environment


@pytest.fixture
def up(tmp_path):
    """Starts `detbox up` with a models folder of its own; whatever still runs at the end is killed."""
    started = []

    def start(*flags: str, port: int = 0) -> subprocess.Popen:
        place = [f"--models_dir={tmp_path}", f"--tensorboard_port={port}"]
        command = [sys.executable, "-m", "entrypoint", "up", *place, *flags]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(DETBOX_TRIAL_SECS=""),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
