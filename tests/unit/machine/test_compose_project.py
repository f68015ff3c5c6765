"""What a clone's compose files ask of a host."""

import os
import shutil
import socket
from pathlib import Path

import pytest
from made_up_host import MadeUpHost

from app.machine import compose_project, container_engine
from app.machine.host import Host

ROOT = Path(__file__).parents[3]


@pytest.fixture
def made_up(tmp_path) -> MadeUpHost:
    return MadeUpHost(tmp_path)


def found(made_up: MadeUpHost, gpus: int = 1) -> dict[str, tuple[str, str]]:
    host = made_up.host()
    engine, _ = container_engine.check_engine(host)
    project, checks = compose_project.check_files(host, gpus)
    checks += compose_project.check_project(host, engine, project) if project else []
    return {check.name: (check.state, str(check)) for check in checks}


def test_files_that_compose_refuses_are_told(made_up):
    """With what it says of them: a fault in .env, mostly."""
    made_up.fail("compose config", "failed to read .env: line 3: unexpected character")
    state, text = found(made_up)["compose files"]
    assert state == "fail" and "line 3" in text


@pytest.mark.parametrize(
    ("free", "image", "there", "state"),
    [
        (100e9, "detbox:gpu", False, "ok"),
        (14e9, "detbox:gpu", False, "warn"),
        (9e9, "detbox:gpu", False, "fail"),
        (13e9, "registry/detbox@sha256:aa", False, "ok"),
        (9e9, "detbox:gpu", True, "ok"),
        (3e9, "detbox:gpu", True, "warn"),
    ],
    ids=["much", "not for the run", "not for the image", "pulled", "there", "there, not for the run"],
)
def test_disk_for_an_image_that_is_built_pulled_or_there(made_up, free, image, there, state):
    """As README.md has the sizes; the volume of runs is on the same disk."""
    made_up.free, made_up.trainer["image"] = free, image
    if there:
        made_up.answers["image inspect"] = "sha256:aa"
    assert found(made_up)["disk for images"][0] == state


def test_a_folder_for_runs_belongs_to_the_user_of_the_containers(made_up):
    """It is there, may be written, and has its own disk."""
    folder = made_up.root / "srv" / "models"
    made_up.trainer["volumes"] = [{"type": "bind", "source": "/srv/models", "target": "/models"}]
    assert "install -d -o 1000 -g 1000 /srv/models" in found(made_up)["disk for /models"][1]
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    made_up.trainer["user"] = f"{os.getuid() + 1}:{os.getgid() + 1}"
    assert "chown" in found(made_up)["disk for /models"][1]
    made_up.trainer["user"] = f"{os.getuid()}:{os.getgid()}"
    assert found(made_up)["disk for /models"][0] == "ok"
    assert "runs lie here" not in found(made_up)["disk for images"][1]


def test_a_port_of_the_range_is_free(made_up):
    """The first that is; one that is given and taken is a failure."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        made_up.tensorboard_port["published"] = str(port)
        assert found(made_up)["port"][0] == "fail"
        made_up.answers["compose port"] = f"127.0.0.1:{port}"
        assert found(made_up)["port"][0] == "ok"
        made_up.tensorboard_port["published"] = f"{port}-{min(port + 20, 65535)}"
        state, text = found(made_up)["port"]
        assert state == "ok" and not text.startswith(f"{port} ")


def test_a_limit_above_the_memory_is_told(made_up):
    """Of TRAINER_MEMORY, which Compose has turned into bytes."""
    made_up.trainer["mem_limit"] = str(128 * 10**9)
    assert found(made_up)["trainer's memory"][0] == "warn"
    made_up.trainer["mem_limit"] = str(32 * 10**9)
    assert "trainer's memory" not in found(made_up)


def test_an_engine_elsewhere_has_its_own_disk(made_up):
    """By DOCKER_HOST or a context: nothing of this machine is measured for it."""
    made_up.info["Name"] = "another"
    assert found(made_up)["place"][0] == "warn"
    assert "disk for images" not in found(made_up)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("DETBOX_NUM_TRAIN_STEP=9", "DETBOX_NUM_TRAIN_STEPS"),
        ("export TRAINR_MEMORY=4g", "TRAINER_MEMORY"),
        ("DETBOX_WHEN_DON=poweroff", "DETBOX_WHEN_DONE"),
        ("# DETBOX_X=1\nDETBOX_DATA_DISK=/dev/sdb\nMINE=1\nDETBOX_RUN=r", ""),
    ],
)
def test_a_misspelt_setting_is_found_before_the_build(made_up, line, word):
    """By the names that the clone's own files have."""
    for name in (".env.example", "deploy/cloud-init.yaml"):
        (made_up.clone / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, made_up.clone / name)
    (made_up.clone / ".env").write_text(f"{line}\n")
    (check,) = compose_project.check_settings(made_up.host())
    assert check.state == ("fail" if word else "ok") and word in check.remedy


def test_there_is_no_image_with_cuda_for_arm(made_up, monkeypatch):
    """Grace and the like train on the CPU."""
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert "aarch64" in found(made_up)["compose files"][1]


def test_a_gpu_that_is_not_used_is_told(made_up):
    """compose.cpu.yaml on a machine with a GPU."""
    del made_up.trainer["deploy"]
    assert found(made_up)["compose files"][0] == "warn"


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs Docker Compose")
@pytest.mark.parametrize(("files", "gpu"), [("compose.yaml", True), ("compose.yaml:compose.cpu.yaml", False)])
def test_the_real_files_are_read_as_compose_resolves_them(files, gpu, tmp_path):
    """No engine is needed for that: ports, runs, image and limit are those of the files and of .env."""
    for name in ("compose.yaml", "compose.cpu.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    lines = [
        f"COMPOSE_FILE={files}",
        "TRAINER_MEMORY=2gb",
        "MODELS_VOLUME=./models",
        "RESULTS_DIR=./out",
        "UID=1001",
        "GID=1002",
    ]
    (tmp_path / ".env").write_text("\n".join(lines))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    host = Host(Path("/"), tmp_path, kept)
    done = host.ask("docker", "compose", "version")
    if done.code != 0:
        pytest.skip("needs Docker Compose")
    project, _ = compose_project.check_files(host, int(gpu))
    assert (project.wants_gpu, project.memory_limit, project.user) == (gpu, 2 << 30, (1001, 1002))
    assert project.folders == {"/models": str(tmp_path / "models"), "/results": str(tmp_path / "out")}
    assert project.image == ("detbox:gpu" if gpu else "detbox:cpu")
    assert project.tensorboard_ports == ("127.0.0.1", range(6006, 6007))
