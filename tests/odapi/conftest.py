"""A small prepared run, and the command line as a child process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app import runs

ROOT = Path(__file__).parents[2]
SMALL = ["--sample_pictures=30", "--batch_size=2", "--eval_batch_size=3", "--eval_image_outputs=1"]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without detbox's own variables."""
    return {key: value for key, value in os.environ.items() if not key.startswith("DETBOX_")} | extra


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


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> runs.Run:
    """A run on a small sample, prepared and not trained. To be copied, not changed."""
    models = tmp_path_factory.mktemp("models")
    result = detbox("prepare", f"--models_dir={models}", "--run=small", "--num_train_steps=200", *SMALL)
    assert result.returncode == 0, result.stderr
    return runs.Run(models / "small")


@pytest.fixture
def fresh(prepared, tmp_path) -> runs.Run:
    """A copy of the prepared run that a test may train."""
    return copy_of(prepared, tmp_path / "small")


def copy_of(run: runs.Run, folder: Path) -> runs.Run:
    """A copy of `run` in `folder` whose pipeline.config names its own files."""
    copy = runs.Run(folder)
    shutil.copytree(run.root, copy.root)
    text = copy.pipeline_config.read_text(encoding="utf-8")
    copy.pipeline_config.write_text(text.replace(str(run.root), str(copy.root)), encoding="utf-8")
    return copy


def place(run: runs.Run) -> list[str]:
    """The flags that find `run`."""
    return [f"--models_dir={run.root.parent}", f"--run={run.name}"]
