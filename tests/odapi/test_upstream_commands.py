"""`python -m object_detection.model_main_tf2`, called the upstream way."""

import subprocess
import sys

import pytest
from command import environment

pytestmark = pytest.mark.odapi


def test_model_main_tf2_trains_and_evaluates(fresh):
    """It trains to the exact number of steps, saves the last, and its evaluation ends there."""
    train = [
        sys.executable, "-m", "object_detection.model_main_tf2", f"--pipeline_config_path={fresh.pipeline_config}",
        f"--model_dir={fresh.root}", "--num_train_steps=7", "--alsologtostderr",
    ]  # fmt: skip
    result = subprocess.run(train, env=environment(), capture_output=True, text=True, timeout=900, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert fresh.checkpoint_steps() == [7]
    evaluate = [*train[:-1], f"--checkpoint_dir={fresh.root}", "--eval_timeout=5", "--sample_1_of_n_eval_examples=1"]
    result = subprocess.run(evaluate, env=environment(), capture_output=True, text=True, timeout=900, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "Average Precision" in result.stdout
