"""deploy/host/service.py on the real engine, with containers in the place of the services."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
import yaml
from compose_project import LOCAL_BASE, ROOT, base, docker, wait_for

pytestmark = pytest.mark.container
AFTER_PREPARE = {"prepare": {"condition": "service_completed_successfully"}}


class Vm:
    """A clone whose services are shell commands, and its settings."""

    def __init__(self, folder: Path, image: str):
        self.folder, self.image, self.clone = folder, image, folder / "clone"
        self.name = f"detbox-test-{uuid.uuid4().hex[:8]}"
        shutil.copytree(ROOT / "deploy" / "host", self.clone / "deploy" / "host", ignore=shutil.ignore_patterns("__*"))
        (self.clone / "app").mkdir()
        for name in ("__init__.py", "run_name.py"):
            shutil.copy(ROOT / "app" / name, self.clone / "app")
        self.told = folder / "told"
        self.told.write_text("")

    def start(self, **commands: str) -> subprocess.Popen:
        """The service, as systemd starts it."""
        services = {
            name: {
                "image": self.image,
                "init": True,
                "command": ["sh", "-c", commands.get(name, "exit 0")],
                "depends_on": {} if name == "prepare" else AFTER_PREPARE,
            }
            for name in ("prepare", "trainer", "evaluator", "tensorboard")
        }
        (self.clone / "compose.yaml").write_text(yaml.safe_dump({"name": self.name, "services": services}))
        env = self.folder / "env"
        env.write_text(f"DETBOX_WHEN_DONE='echo \"$RUN $DETBOX_EXIT_CODE\" >>{self.told}'\n# {commands}\n")
        environ = {
            **os.environ,
            "DETBOX_ENV_FILE": str(env),
            "STATE_DIRECTORY": str(self.folder / "state"),
            "DETBOX_PAUSES": "0.1",
        }
        script = str(self.clone / "deploy" / "host" / "service.py")
        return subprocess.Popen([sys.executable, "-S", script], env=environ, stdout=subprocess.DEVNULL)

    def run(self, **commands: str) -> int:
        """Its exit code, at the end of the run."""
        return self.start(**commands).wait(timeout=120)

    def container(self, service: str) -> str:
        """State and exit code."""
        form = "{{.State.Status}} {{.State.ExitCode}}"
        return docker("inspect", "--format", form, f"{self.name}-{service}-1").stdout.strip()

    def compose(self, *words: str) -> None:
        docker("compose", "-p", self.name, *words, cwd=self.clone)


@pytest.fixture
def vm(engine, tmp_path):
    image = base().get("BASE_IMAGE", LOCAL_BASE)
    if docker("image", "inspect", image).returncode != 0:
        pytest.skip(f"needs an image with a shell: {image}")
    made = Vm(tmp_path, image)
    yield made
    made.compose("down", "--timeout=0", "--volumes")


def test_ends_that_are_final_are_told(vm):
    """Done, failed for good and refused by `prepare`: once each, with the exit code; TensorBoard may go on."""
    assert vm.run(tensorboard="sleep 60") == 0
    assert vm.container("tensorboard") == "running 0"
    assert vm.run(trainer="sleep 1; exit 6", evaluator="sleep 2; exit 6") == 6
    assert vm.run(prepare="exit 4") == 4
    assert vm.told.read_text().split("\n") == ["sample 0", "sample 6", "sample 4", ""]


def test_stops_are_no_ends(vm):
    """SIGTERM to the service stops the containers in good order; `docker compose stop` is told from an end."""
    saves = "trap 'exit 143' TERM; while :; do sleep 0.1; done"
    service = vm.start(trainer=saves, evaluator=saves)
    wait_for(lambda: vm.container("evaluator") == "running 0", 60, "the containers run")
    time.sleep(1)  # It waits for them.
    service.send_signal(signal.SIGTERM)
    assert service.wait(timeout=60) == 143
    assert vm.container("trainer") == vm.container("evaluator") == "exited 143"
    service = vm.start(trainer=saves, evaluator=saves)
    wait_for(lambda: vm.container("evaluator") == "running 0", 60, "the containers run again")
    time.sleep(1)
    vm.compose("stop")
    assert service.wait(timeout=60) == 0
    assert vm.told.read_text() == ""
