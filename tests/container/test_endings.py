"""What lasts ends the whole: nothing is left that would keep a rented machine."""

import time

import pytest
from compose_project import CPU, IMAGE, SHORT, docker, wait_for

pytestmark = pytest.mark.container
SMALL = """
volumes:
  models: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: "size=400m,uid=1000,gid=1000" } }
"""


def test_a_loss_that_is_not_finite_ends_the_project(projects, image):
    """The trainer is not started again, the evaluator ends with its code, TensorBoard too."""
    options = {"DETBOX_LEARNING_RATE": "1e12", "DETBOX_TRIAL_SECS": "0", "DETBOX_TENSORBOARD_LINGER": "1"}
    project = projects(**SHORT, **options)
    project.ok("up", "--detach")
    assert project.run("wait", "evaluator", timeout=600).returncode == 6
    wait_for(lambda: not project.ok("ps", "--quiet").split(), 60, "the other services end")
    codes = {name: project.inspect(name)["State"]["ExitCode"] for name in ("trainer", "evaluator", "tensorboard")}
    assert codes == {"trainer": 6, "evaluator": 6, "tensorboard": 0}
    assert project.inspect("trainer")["RestartCount"] == 0 and "restart 1" not in project.logs("trainer")
    assert "is not finite" in project.logs("trainer").splitlines()[-1]
    beat = project.volume().json("sample/status/trainer.json")
    assert (beat["state"], beat["code"]) == ("failed", 6)
    project.down()


def state(project) -> dict:
    """What the volume says of the trainer."""
    return project.volume().json("sample/status/trainer.json") or {}


def ends_with(project, code: int) -> None:
    """The project is over within a minute of the trainer's end, and the evaluator has its code."""
    wait_for(lambda: state(project).get("state") == "failed", 300, "the trainer fails")
    failed_at = time.monotonic()
    wait_for(lambda: not project.ok("ps", "--quiet").split(), 60, "all services end")
    assert time.monotonic() - failed_at < 60
    assert state(project)["code"] == code
    assert project.inspect("evaluator")["State"]["ExitCode"] == code


def test_too_little_memory_ends_the_project(projects, image):
    """The kernel ends the trainer within its limit: told as that, with what takes less, and not tried again."""
    project = projects(**SHORT, TRAINER_MEMORY="320m", DETBOX_TRIAL_SECS="0", DETBOX_TENSORBOARD_LINGER="1")
    project.ok("up", "--detach")
    ends_with(project, 7)
    told = project.logs("trainer").splitlines()[-1]
    assert "the trainer ran out of memory: the system ended it" in told and "--batch_size" in told
    assert "restart 1" not in project.logs("trainer")
    project.down()


def test_a_disk_that_is_full_ends_the_project(projects, image):
    """Something else fills the volume in mid-training: the next save fails, and stays so."""
    options = {"DETBOX_NUM_TRAIN_STEPS": "100000", "DETBOX_CHECKPOINT_EVERY_N": "20", "DETBOX_TENSORBOARD_LINGER": "1"}
    project = projects(files=(*CPU, "compose.small.yaml"), **SHORT | options)
    (project.folder / "compose.small.yaml").write_text(SMALL)
    project.ok("create")
    volume = f"{project.name}_models:/m"
    # Memory that is no container's any more is gone.
    holder = docker("run", "--detach", "--rm", "--volume", volume, "--entrypoint", "sleep", IMAGE, "900").stdout.strip()
    project.ok("up", "--detach")
    wait_for(lambda: project.volume().steps()[-1:] > [0], 300, "training begins")
    fill = ["--entrypoint", "python3", IMAGE, "-c", "open('/m/fill', 'wb').write(bytes(10**9))"]
    assert "No space left" in docker("run", "--rm", "--user=0", "--volume", volume, *fill).stderr
    ends_with(project, 3)
    assert "no space left" in project.logs("trainer").splitlines()[-1].lower()
    docker("rm", "--force", holder)
    project.down()
