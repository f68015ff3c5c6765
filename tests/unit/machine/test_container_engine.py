"""What is said of the engine of a host."""

import pytest
from made_up_host import INFO, MadeUpHost

from app.machine import container_engine


@pytest.fixture
def made_up(tmp_path) -> MadeUpHost:
    return MadeUpHost(tmp_path)


def found(made_up: MadeUpHost) -> dict[str, tuple[str, str]]:
    engine, checks = container_engine.check_engine(made_up.host())
    checks += container_engine.check_toolkit(made_up.host(), engine, needed=True)
    return {check.name: (check.state, str(check)) for check in checks}


def test_without_docker_podman_is_named(made_up):
    """It is no substitute that was tried."""
    made_up.without("docker")
    made_up.command("podman", "")
    state, text = found(made_up)["engine"]
    assert state == "fail" and "podman" in text


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "usermod",
        ),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "systemctl",
        ),
    ],
)
def test_an_engine_that_does_not_answer(made_up, error, word):
    """Rights and a daemon that is stopped have remedies of their own, in both ways that docker tells of them."""
    made_up.info = {"ServerVersion": "", "ServerErrors": [error]}
    state, text = found(made_up)["engine"]
    assert state == "fail" and word in text
    made_up.fail("info", error)
    state, text = found(made_up)["engine"]
    assert state == "fail" and word in text


@pytest.mark.parametrize(
    ("words", "version", "check", "state"),
    [
        ("compose version", "", "compose", "fail"),
        ("compose version", "2.23.3", "compose", "fail"),
        ("compose version", "v2.24.0-desktop.1", "compose", "ok"),
        ("buildx version", "", "buildx", "warn"),
    ],
)
def test_plugins_are_there_and_new_enough(made_up, words, version, check, state):
    """Compose from 2.24 on; without Buildx an image can still be pulled."""
    made_up.answers[words] = version
    if not version:
        made_up.fail(words, f"docker: '{words}' is not a docker command.")
    assert found(made_up)[check][0] == state


@pytest.mark.parametrize(("version", "state"), [("19.03.8", "fail"), ("20.10.24+dfsg1", "ok"), ("29.0.1", "ok")])
def test_the_engine_is_new_enough(made_up, version, state):
    """20.10 with BuildKit asked for, which is said."""
    made_up.info["ServerVersion"] = version
    assert found(made_up)["engine"][0] == state
    assert ("DOCKER_BUILDKIT=1" in found(made_up)["buildx"][1]) == (version < "23")


def test_the_toolkit_of_another_engine_is_told(made_up):
    """Not there, installed and not configured, configured and not read yet."""
    made_up.info["Runtimes"] = {"runc": {}}
    assert found(made_up)["container toolkit"][0] == "warn"  # By its hook alone it may do.
    made_up.write("/etc/docker/daemon.json", '{"runtimes": {"nvidia": {}}}')
    state, text = found(made_up)["container toolkit"]
    assert state == "fail" and text.endswith("sudo systemctl restart docker")
    made_up.write("/etc/docker/daemon.json", "{}")
    made_up.without("nvidia-container-runtime-hook")
    assert found(made_up)["container toolkit"][0] == "fail"
    made_up.write("/etc/cdi/nvidia.yaml", "")
    assert "/etc/cdi/nvidia.yaml" in found(made_up)["container toolkit"][1]
    made_up.without("nvidia-ctk")
    assert "not installed" in found(made_up)["container toolkit"][1]


def test_a_rootless_engine_is_told(made_up):
    """Its user ids are others, and the toolkit must leave cgroups alone."""
    made_up.info["SecurityOptions"] = [*INFO["SecurityOptions"], "name=rootless"]
    assert found(made_up)["rootless"][0] == "warn"
    assert found(made_up)["container toolkit"][0] == "fail"
    made_up.write("/etc/nvidia-container-runtime/config.toml", "[nvidia-container-cli]\nno-cgroups = true\n")
    assert found(made_up)["container toolkit"][0] == "ok"


@pytest.mark.parametrize(("options", "state"), [([], "ok"), (["name=selinux"], "warn")])
def test_selinux_is_told(made_up, options, state):
    """Whether containers are confined by it decides whether folders need its label."""
    made_up.write("/sys/fs/selinux/enforce", "1")
    made_up.info["SecurityOptions"] = options
    assert found(made_up)["selinux"][0] == state


def test_an_engine_that_can_limit_nothing_is_told(made_up):
    """Rootless without delegation, or a kernel without the controller."""
    made_up.info["MemoryLimit"] = False
    assert found(made_up)["limits"][0] == "warn"


def test_images_lie_where_the_engine_keeps_them(made_up):
    """The image store of containerd has a folder of its own."""
    assert container_engine.Engine(INFO).image_folder == "/var/lib/docker"
    status = [["driver-type", "io.containerd.snapshotter.v1"]]
    assert container_engine.Engine(INFO | {"DriverStatus": status}).image_folder == "/var/lib/containerd"
    assert container_engine.Engine().image_folder == ""
