"""A trainer on a machine that its cloud takes: the metadata service is local, all else is real."""

import signal
import subprocess
import sys
import time

import metadata_servers
import pytest
from command import ROOT, detbox, environment

from app.run.directory import Run
from app.run.heartbeat import Heartbeat

pytestmark = pytest.mark.e2e


def test_the_exact_step_is_saved(tmp_path):
    """As in a container: exit code 143, a line with the cloud and the step, and the run says so."""
    place = [f"--models_dir={tmp_path}", "--run=r"]
    small = ["--sample_images=20", "--image_size=64", "--batch_size=2", "--num_train_steps=99999"]
    assert detbox("prepare", *place, *small).returncode == 0
    run = Run(tmp_path / "r")
    with metadata_servers.aws() as server:
        given = {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{server.address}",
            "DETBOX_PREEMPTION_NOTICE": "aws",
            "CUDA_VISIBLE_DEVICES": "-1",
        }
        trainer = subprocess.Popen(
            [sys.executable, "-m", "entrypoint", "train", *place, "--restarts=3", "--log_every_n=2"],
            cwd=ROOT, env=environment(**given), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            until = time.monotonic() + 300
            while not run.metrics.exists() and trainer.poll() is None and time.monotonic() < until:
                time.sleep(0.2)
            server.items["spot/instance-action"] = metadata_servers.spot_action(120)
            _, err = trainer.communicate(timeout=150)
        finally:
            trainer.kill()
    (step,) = run.checkpoint_steps()
    assert trainer.returncode == 128 + signal.SIGTERM
    assert "restart 1 of" not in err
    last = err.strip().splitlines()[-1]
    assert last.startswith("detbox: stopped: preempted: AWS takes this machine (terminate) at ")
    assert f"step {step} is saved in {run.root}" in last
    beat = Heartbeat.read(run, "trainer")
    assert (beat.state, beat.step) == ("preempted", step)
    assert not run.done.exists()
