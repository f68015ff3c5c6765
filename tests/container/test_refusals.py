"""What is wrong is said in one line before anything is trained; what is right does not get in another's way."""

import shutil
import subprocess

import pytest
from compose_project import SHORT, docker

pytestmark = pytest.mark.container


def error_lines(project) -> list[str]:
    """The lines of prepare's log, which has nothing but the error."""
    return [line for line in project.logs("prepare").splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("DETBOX_BATCH_SIZE=many", ["DETBOX_BATCH_SIZE", "'many'", "--batch_size"]),
        ("DETBOX_BATCHSIZE=4", ["DETBOX_BATCHSIZE is unknown", "did you mean DETBOX_BATCH_SIZE?"]),
        ("DETBOX_DATASET=data/nothing", ["/data/nothing"]),
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


def test_two_projects_do_not_collide(projects, image):
    """Side by side with the defaults: a volume and a port each, and no name in common."""
    one, two = projects(**SHORT), projects(**SHORT, DETBOX_RUN="other")
    for project in (one, two):
        project.ok("up", "--detach", "tensorboard")
    ports = {project.ok("port", "tensorboard", "6006").strip() for project in (one, two)}
    assert len(ports) == 2 and all(port.startswith("127.0.0.1:60") for port in ports)
    assert "sample/pipeline.config" in one.volume().files
    assert "other/pipeline.config" in two.volume().files
    assert not set(one.volume().files) & {"other"}
    for project in (one, two):
        project.down()
    assert docker("volume", "inspect", f"{one.name}_models").returncode != 0
