"""How often the training step is traced, which is most of the time before the first step."""

import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT, detbox, environment, place

from app.run.directory import Run

pytestmark = pytest.mark.odapi
SCRIPT = Path(__file__).with_name("counted_traces.py")


def train(run: Run, steps: int) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCRIPT, *place(run), f"--num_train_steps={steps}"],
        cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def test_the_step_is_traced_once(fresh):
    """From random weights, from its own checkpoint and from weights to fine-tune: its variables are made before."""
    first = train(fresh, 1)
    assert "fresh start from random weights" in first.stderr and first.stdout == "traced 1, garbage collected True\n"
    resumed = train(fresh, 2)
    assert "resumed from" in resumed.stderr and resumed.stdout == "traced 1, garbage collected True\n"
    tuned = Run(fresh.root.parent / "tuned")
    prepared = detbox(
        "prepare",
        *place(tuned),
        "--sample_images=30",
        "--batch_size=2",
        f"--fine_tune_checkpoint={fresh.checkpoint(2)}",
    )
    assert prepared.returncode == 0, prepared.stderr
    start = train(tuned, 1)
    assert "fresh start from the weights of" in start.stderr and start.stdout == "traced 1, garbage collected True\n"
