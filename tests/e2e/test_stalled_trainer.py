"""A trainer that hangs, by its disk or by SIGSTOP, under `up`."""

import os
import shutil
import signal
import time

import psutil
import pytest

from app.run.directory import Run
from app.run.files import read_json, read_lines

pytestmark = pytest.mark.e2e
SECONDS = 15
FLAGS = [
    "--run=r", "--trial_secs=0", "--sample_images=40", "--batch_size=2", "--num_train_steps=400", "--log_every_n=1",
    "--checkpoint_every_n=20", "--checkpoint_max_to_keep=30", "--detection_outputs=0", "--eval_image_outputs=0",
    f"--watchdog_least_secs={SECONDS}", "--watchdog_factor=20",
]  # fmt: skip


def wait_for(condition, seconds=600):
    """The first true value of `condition()`; fails if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)
    return found


def newest_step(run):
    """Of metrics.jsonl."""
    return (read_lines(run.metrics) or [{"step": 0}])[-1]["step"]


def trainer_of(up):
    """The process of the trainer."""
    return next(child for child in psutil.Process(up.pid).children() if "train" in child.cmdline())


def test_trainer_that_hangs_is_ended_and_started_again(up, tmp_path):
    """First a record file whose disk never answers, then SIGSTOP for good: the run comes to its end by itself."""
    process = up(*FLAGS)
    run = Run(tmp_path / "r")
    log = run.log("trainer")
    wait_for(lambda: newest_step(run) > 25 or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]

    shard = next(run.records.glob("train-*"))
    whole = shutil.copy2(shard, tmp_path / "whole")
    os.mkfifo(tmp_path / "fifo")
    os.replace(tmp_path / "fifo", shard)
    began = time.monotonic()
    wait_for(lambda: b"without an answer" in log.read_bytes())
    os.replace(whole, shard)
    assert time.monotonic() - began < 6 * SECONDS
    wait_for(lambda: b"resumed from" in log.read_bytes())
    text = log.read_text("utf-8", errors="replace")
    assert "Current thread" in text or "Thread 0x" in text
    assert "train_loop" in text.partition("a training step took")[2]
    assert f"1 of 4 files without an answer: {shard}" in text

    reached = newest_step(run)
    wait_for(lambda: newest_step(run) > reached + 2)
    stopped = trainer_of(process)
    stopped.send_signal(signal.SIGSTOP)
    wait_for(lambda: not stopped.is_running() or stopped.status() == psutil.STATUS_ZOMBIE, 6 * SECONDS)
    wait_for(lambda: log.read_bytes().count(b"resumed from") == 2)

    told = process.communicate(timeout=600)[1]
    assert process.returncode == 0, told
    assert "the trainer ended with code 9" in told
    assert "the trainer is stopped, as by SIGSTOP" in told
    assert read_json(run.done)["reason"] == "completed"
    assert [row["step"] for row in read_lines(run.metrics)] == list(range(1, 401))
