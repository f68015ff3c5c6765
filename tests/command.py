"""The command line as a child process, and copies of runs: what several tiers need."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from app.pipeline import run_config
from app.run.directory import Run

ROOT = Path(__file__).parents[1]
AS_STARTED = dict(os.environ)
"""Before a test that runs TensorFlow here hid the GPUs from this process and its children."""


WITHOUT_TRIAL = {"DETBOX_TRIAL_SECS": "0"}
"""What a test that is not about the trial before training saves its time by."""


def environment(**extra: str) -> dict[str, str]:
    """The environment that the tests were started in, without detbox's own variables and without a trial.

    No cloud is asked whether it takes the machine that the tests run on.
    """
    kept = {key: value for key, value in AS_STARTED.items() if not key.startswith("DETBOX_")}
    return kept | WITHOUT_TRIAL | {"DETBOX_PREEMPTION_NOTICE": "off"} | extra


def detbox(*arguments: str, **extra: str) -> subprocess.CompletedProcess:
    """Runs `detbox ARGUMENTS` to its end; output as text."""
    return subprocess.run(
        [sys.executable, "-m", "entrypoint", *arguments],
        cwd=ROOT, env=environment(**extra), capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


def start(*arguments: str, **extra: str) -> subprocess.Popen:
    """Starts `detbox ARGUMENTS`; its output is read by nobody."""
    return subprocess.Popen(
        [sys.executable, "-m", "entrypoint", *arguments],
        cwd=ROOT, env=environment(**extra), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def copy_of(run: Run, folder: Path) -> Run:
    """A copy of `run` in `folder` whose pipeline.config names its own files."""
    copy = Run(folder)
    shutil.copytree(run.root, copy.root)
    text = copy.pipeline_config.read_text(encoding="utf-8")
    copy.pipeline_config.write_text(text.replace(str(run.root), str(copy.root)), encoding="utf-8")
    run_config.record_pipeline(copy)
    return copy


def place(run: Run) -> list[str]:
    """The flags that find `run`."""
    return [f"--models_dir={run.root.parent}", f"--run={run.name}"]
