"""What is wrong is said in one line before anything is trained; what is right does not get in another's way."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from compose_project import ROOT, SHORT, docker, wait_for

pytestmark = pytest.mark.container


def error_lines(project) -> list[str]:
    """The lines of prepare's log, which has nothing but the error."""
    return [line for line in project.logs("prepare").splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("DETBOX_BATCH_SIZE=many", ["DETBOX_BATCH_SIZE", "'many'", "--batch_size"]),
        ("DETBOX_BATCHSIZE=4", ["DETBOX_BATCHSIZE is unknown", "did you mean DETBOX_BATCH_SIZE?"]),
        ("DETBOX_DATASET=data/nothing", ["/data/nothing", "DETBOX_DATA_DIR"]),
        (
            "DETBOX_DATASET=/home/me/flowers",
            ["/home/me/flowers", "DETBOX_DATA_DIR=/home/me", "DETBOX_DATASET=data/flowers"],
        ),
        ("DETBOX_FINE_TUNE_CHECKPOINT=/home/me/ssd/ckpt-0", ["DETBOX_DATA_DIR=/home/me/ssd", "=data/ckpt-0"]),
        ("TRAINER_MEMROY=8g", ["TRAINER_MEMROY is unknown", "did you mean TRAINER_MEMORY?"]),
    ],
)
def test_a_wrong_line_in_dotenv_starts_nothing_else(projects, image, line, words):
    """prepare ends with one line that names the variable; trainer, evaluator and TensorBoard never run."""
    project = projects()
    (project.folder / ".env").write_text(line + "\n")
    done = project.run("up")
    assert done.returncode != 0
    (told,) = error_lines(project)
    assert [word for word in words if word not in told] == []
    assert project.inspect("prepare")["State"]["ExitCode"] in (3, 4)
    for service in ("trainer", "evaluator", "tensorboard"):
        assert project.inspect(service)["State"]["Status"] == "created", service


def test_a_folder_of_another_user_is_told(projects, image):
    """The usual fault of a bind mount: the folder is root's, or was made by the engine."""
    project = projects(MODELS_VOLUME="./runs")
    (project.folder / "runs").mkdir(mode=0o755)
    shutil.chown(project.folder / "runs", 0, 0)
    assert project.run("up").returncode != 0
    (told,) = error_lines(project)
    assert "/models/sample" in told and "can't be written" in told and "Traceback" not in told
    assert "1000" in told


def test_a_host_without_a_gpu_is_told(projects, image):
    """compose.yaml alone, with no driver: the engine's one line; the file's head says what to do."""
    if shutil.which("nvidia-smi") and subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode == 0:
        pytest.skip("this machine has a GPU")
    project = projects(files=("compose.yaml",), **SHORT)
    done = project.run("up", "--no-build")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert 'could not select device driver "nvidia"' in said
    assert "Traceback" not in said and "goroutine" not in said
    assert "could not select device driver nvidia" in (project.folder / "compose.yaml").read_text()
    project.down()


def test_a_build_for_gpus_wants_a_driver(projects, image):
    """It fails in its first step, before anything is fetched, and says what to do; another machine's it builds."""
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("this machine has NVIDIA's driver")
    project = projects(files=("compose.yaml",), DETBOX_IMAGE="detbox-test:never")
    done = project.run("build")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "this machine has no NVIDIA driver -> " in said and "HOST_GPU=none" in said
    assert "apt-get update" not in said.split("no NVIDIA driver")[0]


def test_a_port_that_is_taken_leaves_no_half_of_a_trio(projects, image):
    """`up` fails, and neither trainer nor evaluator runs; with the port that choose-port writes it goes on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        project = projects(**SHORT | {"DETBOX_NUM_TRAIN_STEPS": "100000"})
        del project.shell["DETBOX_TENSORBOARD_PORT"]
        (project.folder / ".env").write_text(f"DETBOX_TENSORBOARD_PORT={port}\n")
        done = project.run("up", "--detach")
        assert done.returncode != 0 and str(port) in done.stderr
        for service in ("trainer", "evaluator"):
            assert project.inspect(service).get("State", {}).get("Status") in (None, "created"), service
        script = str(ROOT / "scripts" / "choose-port")
        told = subprocess.run([sys.executable, script], cwd=project.folder, capture_output=True, text=True, check=True)
    project.ok("up", "--detach")
    address = project.ok("port", "tensorboard", "6006").strip()
    assert address.replace("127.0.0.1", "localhost") in told.stdout and str(port) not in address
    wait_for(lambda: "tensorboard | http" in project.logs("tensorboard"), 60, "TensorBoard says where it is")
    assert f"tensorboard | http://{address.replace('127.0.0.1', 'localhost')}/" in project.logs("tensorboard")
    project.down()


def test_a_command_runs_where_prepare_fails(projects, image):
    """It waits for no other service, and starts none."""
    project = projects(DETBOX_DATASET="data/nothing")
    assert "no runs in /models" in project.ok("run", "--rm", "detbox", "status")
    assert project.inspect("prepare") == {}
    project.down()


def test_another_user_needs_no_other_image(projects, image):
    """UID and GID of .env alone: what a run writes is theirs, in a volume that is new."""
    project = projects(UID="4321", GID="8765", **SHORT)
    project.ok("run", "--rm", "prepare")
    assert project.volume().files["sample/pipeline.config"] == [4321, 8765]
    project.down()


def test_two_projects_do_not_collide(projects, image):
    """Side by side: a volume and a port each, and no name in common."""
    one, two = projects(**SHORT), projects(**SHORT, DETBOX_RUN="other")
    for project in (one, two):
        project.ok("up", "--detach", "tensorboard")
    ports = {project.ok("port", "tensorboard", "6006").strip() for project in (one, two)}
    assert len(ports) == 2 and all(port.startswith("127.0.0.1:") for port in ports)
    assert "sample/pipeline.config" in one.volume().files
    assert "other/pipeline.config" in two.volume().files
    assert not set(one.volume().files) & {"other"}
    for project in (one, two):
        project.down()
    assert docker("volume", "inspect", f"{one.name}_models").returncode != 0
