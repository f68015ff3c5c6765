"""A stop keeps the exact step, a killed trainer comes back by itself, and both go on where they were."""

import pytest
from compose_project import SHORT, wait_for

pytestmark = pytest.mark.container
KILL = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    words = open(f"/proc/{pid}/cmdline").read().split("\\0")
    if pid != "1" and "train" in words and "--restarts=3" not in words:
        os.kill(int(pid), signal.SIGKILL)
"""
LONG = {**SHORT, "DETBOX_NUM_TRAIN_STEPS": "5000", "DETBOX_CHECKPOINT_EVERY_N": "10"}


def trained(project, steps: int):
    """The volume, once `steps` steps are in metrics.jsonl."""
    volume = project.volume()
    return volume if volume.steps() and volume.steps()[-1] >= steps else None


def test_stop_up_kill(projects, image):
    """One project: started, stopped, started again, its trainer killed."""
    project = projects(**LONG)
    project.ok("up", "--detach", "trainer")
    wait_for(lambda: trained(project, 3), 300, "3 steps trained")
    assert "training at step" in project.ok("exec", "trainer", "detbox", "health", "--service=trainer")

    project.ok("stop")
    assert project.inspect("trainer")["State"]["ExitCode"] == 143
    assert project.inspect("trainer")["RestartCount"] == 0
    volume = project.volume()
    stopped_at = volume.steps()[-1]
    assert f"sample/ckpt-{stopped_at}.index" in volume.files
    assert volume.json("sample/status/trainer.json")["state"] == "stopped"
    assert "sample/DONE" not in volume.files
    assert f"step {stopped_at} is saved" in project.logs("trainer")

    project.ok("up", "--detach", "trainer")
    volume = wait_for(lambda: trained(project, stopped_at + 12), 300, "12 more steps trained")
    assert f"resumed from /models/sample/ckpt-{stopped_at}" in project.logs("trainer")
    assert volume.steps() == list(range(1, volume.steps()[-1] + 1))

    project.ok("exec", "trainer", "python3", "-c", KILL)
    wait_for(lambda: "restart 1 of 3" in project.logs("trainer"), 60, "the trainer is started again in its container")
    assert project.inspect("trainer")["RestartCount"] == 0
    killed_at = project.volume().steps()[-1]
    wait_for(lambda: trained(project, killed_at + 3), 300, "3 steps after the kill")
    assert project.logs("trainer").count("resumed from") == 2
    project.down()
