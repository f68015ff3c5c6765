"""Trainer, evaluator and TensorBoard together, on real images."""

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from command import ROOT, detbox, environment
from pseudo_terminal import PseudoTerminal

from app.run.directory import Run
from app.run.files import read_json, read_lines

pytestmark = pytest.mark.e2e
SMALL = ["--sample_images=40", "--batch_size=4", "--detection_outputs=2", "--eval_image_outputs=1"]


def wait_for(condition, seconds=600):
    """The first true value of `condition()`; fails if there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_trio_on_the_sample(up, tmp_path):
    """One command trains, evaluates every checkpoint, serves the events meanwhile, and draws images at the end."""
    port = free_port()
    process = up(*SMALL, "--num_train_steps=60", "--checkpoint_every_n=20", "--summary_every_n=5", port=port)
    run = Run(tmp_path / "sample")
    wait_for(lambda: list(run.train_events.rglob("events.*")))

    def losses_are_listed() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/plugin/scalars/tags", timeout=30) as answer:
                return "Loss/total_loss" in json.load(answer).get("train", {})
        except (OSError, ValueError):  # it listens before it answers
            return False

    wait_for(lambda: process.poll() is not None or losses_are_listed())
    assert process.poll() is None, "it ended before TensorBoard listed its losses"
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err[-3000:]
    assert [row["step"] for row in read_lines(run.evaluations)] == [20, 40, 60]
    assert {row["images"] for row in read_lines(run.evaluations)} == {8}
    assert read_json(run.done)["reason"] == "completed"
    assert len(list(run.detections.glob("*.jpg"))) == 2
    assert (run.best / f"ckpt-{read_json(run.best_card)['step']}.index").is_file()
    assert str(run.root) in out and "mAP" in out and str(run.detections) in out and str(run.report) in out
    best = read_json(run.best_card)
    report = run.report.read_text("utf-8")
    assert f"{best['value']:.3f} at step {best['step']}" in report
    assert report.count("data:image/jpeg") == 2
    assert all(figures["name"] in report for figures in best["details"]["classes"])
    assert not tensorboard_is_there(port)
    again = up(*SMALL, "--num_train_steps=60", "--checkpoint_every_n=20", "--summary_every_n=5")
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0 and "finished" in err
    assert "mAP" in out


def tensorboard_is_there(port) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    except OSError:
        return False
    return True


def test_ctrl_c_stops_all_three_and_the_same_command_goes_on_without_the_disk(up, tmp_path):
    """SIGINT ends the trio with the step saved and copied; nothing is left running, nor, then, of the run."""
    flags = [*SMALL, "--num_train_steps=90", "--checkpoint_every_n=30", "--log_every_n=1"]
    flags += [f"--sync_to={tmp_path / 'copies'}"]
    process = up(*flags)
    run = Run(tmp_path / "sample")
    wait_for(lambda: len(read_lines(run.metrics)) >= 5)
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err[-2000:]
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    saved = run.checkpoint_steps()[-1]
    assert saved == read_lines(run.metrics)[-1]["step"]
    assert f"step {saved} is saved" in err
    shutil.rmtree(run.root)
    process = up(*flags)
    _, err = process.communicate(timeout=900)
    assert process.returncode == 0, err[-2000:]
    assert f"restored step {saved}" in err
    assert f"resumed from {run.checkpoint(saved)}" in Path(run.log("trainer")).read_text(errors="replace")
    assert read_json(run.done)["step"] == 90
    assert [row["step"] for row in read_lines(run.metrics)] == list(range(1, 91))


@pytest.mark.slow
def test_fine_tuning_beats_the_same_steps_from_scratch(up, tmp_path, test_data):
    """On BCCD, from real weights: the checkpoint's own pipeline.config with and without its weights."""
    hands = test_data / "pretrained" / "ssd_mobilenet_v2_fpnlite_320x320_hands"
    flags = [
        f"--dataset={test_data / 'bccd'}", "--train_split=trainval", "--eval_split=test",
        "--num_train_steps=150", "--batch_size=8", "--checkpoint_every_n=150", "--eval_image_outputs=0",
        "--image_summary_every_n=0", "--detection_outputs=1",
    ]  # fmt: skip
    best = {}
    for name, start in (
        ("fine-tuned", f"--fine_tune_checkpoint={hands}"),
        ("scratch", f"--model={hands / 'pipeline.config'}"),
    ):
        process = up(f"--run={name}", start, *flags)
        _, err = process.communicate(timeout=1800)
        assert process.returncode == 0, err[-3000:]
        (row,) = read_lines(Run(tmp_path / name).evaluations)
        assert row["images"] == 72
        best[name] = row["metrics"]["DetectionBoxes_Precision/mAP"]
    assert best["fine-tuned"] > best["scratch"]
    assert best["fine-tuned"] > 0.02


def test_a_closed_terminal_and_a_stop_lose_no_step(tmp_path):
    """The terminal goes and training goes on; `stop` names the very last step, from which the next start goes on."""
    place = [f"--models_dir={tmp_path}", "--run=r"]
    flags = [*place, *SMALL, "--num_train_steps=20000", "--checkpoint_every_n=20000", "--log_every_n=1"]
    flags += ["--tensorboard_port=0", "--trial_secs=0"]
    run = Run(tmp_path / "r")
    terminal = PseudoTerminal(
        [sys.executable, "-m", "entrypoint", "up", *flags], environment(TERM="xterm", PYTHONPATH=str(ROOT)), ROOT
    )
    try:
        terminal.show_until(lambda: len(read_lines(run.metrics)) >= 5, 600)
        assert "╭─ detbox" in terminal.screen
        terminal.close()
        closed_at = read_lines(run.metrics)[-1]["step"]
        wait_for(lambda: read_lines(run.metrics)[-1]["step"] > closed_at + 10)
        assert terminal.code() is None
        status = detbox("status", *place)
        assert "in the background" in status.stdout and f"(process {terminal.pid})" in status.stdout
        stopped = json.loads(detbox("stop", *place, "--json").stdout)
        wait_for(lambda: terminal.code() is not None, 30)
    finally:
        if terminal.code() is None:
            os.kill(terminal.pid, signal.SIGKILL)
    assert (terminal.code(), stopped["was_running"]) == (143, True)
    assert [stopped["step"]] == run.checkpoint_steps() == [read_lines(run.metrics)[-1]["step"]]
    assert not run.done.exists()
    assert "the terminal was closed, the run goes on" in run.log("up").read_text()

    again = detbox("up", *flags, "--detach")
    try:
        assert again.returncode == 0, again.stderr[-2000:]
        assert f"resumed from {run.checkpoint(stopped['step'])}" in run.log("trainer").read_text(errors="replace")
        logs = detbox("logs", *place)
        assert re.search(r"^trainer     \| \d{4}-\S+ train \| step", logs.stdout, re.MULTILINE)
    finally:
        ended = detbox("stop", *place)
    assert "stopped: step" in ended.stdout
    assert [row["step"] for row in read_lines(run.metrics)] == list(range(1, run.checkpoint_steps()[-1] + 1))
