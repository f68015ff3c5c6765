"""What deploy/host/install adds to an image, and what it leaves as it is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
INSTALL = ROOT / "deploy" / "host" / "install"
CLOUD_INIT = ROOT / "deploy" / "cloud-init.yaml"
TOOLS = ("bash", "cat", "cut", "install", "touch", "ln", "grep", "awk", "dirname")
GPU, NVSWITCH = "0x030200", "0x068000"


class Image:
    """An image of a cloud: what is installed there, which devices the VM has."""

    def __init__(self, folder: Path, *devices: str, there: dict[str, str] | None = None):
        self.root, self.bin, self.log = folder / "root", folder / "bin", folder / "log"
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        clone = folder / "clone" / "deploy" / "host"
        clone.mkdir(parents=True)
        for name in ("install", "detbox.service"):
            shutil.copy(INSTALL.with_name(name), clone)
        self.script = clone / "install"
        for number, pci_class in enumerate(devices):
            device = self.root / f"sys/bus/pci/devices/{number}"
            device.mkdir(parents=True)
            (device / "vendor").write_text("0x10de\n")
            (device / "class").write_text(f"{pci_class}\n")
        madison = "printf ' nvidia-fabricmanager-570 | %s | archive\\n' 570.99-0ubuntu1 570.86.15-0ubuntu1"
        basic = {
            "apt-get": "", "apt-cache": f'[ "$1" = madison ] && {madison} || exit 1', "systemctl": "",
            "ubuntu-drivers": "", "modinfo": "echo 570.86.15", "dpkg-query": "exit 1", "gpg": "", "curl": "",
            "nvidia-ctk": None, "docker": None,
        }  # fmt: skip
        for name, script in (basic | (there or {})).items():
            if script is not None:
                self.program(name, script)
        # What a package brings is there once it is installed, and succeeds at whatever it is asked.
        brought = "\n".join(
            f'case "$*" in *{package}*) ln -sf "{self.bin}/systemctl" "{self.bin}/{name}";; esac'
            for package, name in (("docker.io", "docker"), ("nvidia-container-toolkit", "nvidia-ctk"))
        )
        self.program("apt-get", brought)

    def program(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f'#!{self.bin}/bash\necho "{name} $*" >>"{self.log}"\n{script}\n')
        (self.bin / name).chmod(0o755)

    def install(self) -> str:
        """The calls that it made."""
        environ = {"PATH": str(self.bin), "DETBOX_ROOT": str(self.root)}
        done = subprocess.run([self.bin / "bash", self.script], env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return self.log.read_text()

    def packages(self) -> str:
        """The names of all packages that it installed."""
        lines = [line for line in self.install().splitlines() if line.startswith("apt-get ") and " install " in line]
        return " ".join(line.partition("--no-install-recommends ")[2] for line in lines)


DOCKER_CE = {
    "docker": 'case "$*" in *Runtimes*) echo "{\\"nvidia\\":{}}";; esac',
    "dpkg-query": "",
    "nvidia-smi": "",
    "nvidia-ctk": "",
}


@pytest.fixture
def image(tmp_path):
    return lambda *devices, **there: Image(tmp_path, *devices, there=there)


def test_a_bare_image_gets_all(image):
    """Engine, driver and toolkit of the archives, and a restart for the driver."""
    vm = image(GPU)
    packages = vm.packages().split()
    assert {
        "docker.io",
        "docker-compose-v2",
        "docker-buildx",
        "nvidia-utils-570-server",
        "nvidia-container-toolkit",
    } <= {*packages}
    assert (vm.root / "run/detbox/restart").exists()
    assert "runtime=docker" in vm.log.read_text()


def test_what_an_image_for_gpus_has_is_kept(image):
    """Deep Learning images, Lambda: docker-ce, a driver, a toolkit. docker.io would take docker-ce away."""
    vm = image(GPU, **DOCKER_CE)
    assert vm.packages() == ""
    assert not (vm.root / "run/detbox/restart").exists()
    assert "systemctl restart docker" not in vm.log.read_text()


def test_plugins_are_of_the_engine_that_is_there(image):
    """docker-ce's own."""
    docker = 'case "$*" in *version*) exit 1;; *Runtimes*) echo "{\\"nvidia\\":{}}";; esac'
    assert image(GPU, **{**DOCKER_CE, "docker": docker}).packages() == "docker-compose-plugin docker-buildx-plugin"


def test_nvswitches_get_the_fabric_manager_of_the_drivers_version(image):
    """Of those that the archive has."""
    vm = image(GPU, NVSWITCH, **DOCKER_CE)
    assert vm.packages() == "nvidia-fabricmanager-570=570.86.15-0ubuntu1"
    assert "systemctl start nvidia-fabricmanager" in vm.log.read_text()


def test_a_vm_without_a_gpu_gets_the_engine_alone(image):
    """For the CPU image."""
    assert set(image().packages().split()) == {"docker.io", "docker-compose-v2", "docker-buildx"}


def test_the_service_is_enabled_and_reads_the_settings(image):
    """The clone's .env is the file of the user data."""
    vm = image(GPU, **DOCKER_CE)
    assert "systemctl enable detbox.service" in vm.install()
    assert (vm.root / "etc/systemd/system/detbox.service").is_file()
    assert os.readlink(vm.script.parents[2] / ".env") == "/etc/detbox/env"


def test_the_user_data_is_shell_that_can_be_read():
    """The commands of cloud-init and the script, by bash itself; the script is where the user data calls it."""
    user_data = yaml.safe_load(CLOUD_INIT.read_text())
    for script in (*user_data["runcmd"], INSTALL.read_text()):
        subprocess.run(["bash", "-n", "-c", script], check=True)
    assert "/opt/detbox/deploy/host/install" in user_data["runcmd"][0] and os.access(INSTALL, os.X_OK)
    unit = INSTALL.with_name("detbox.service").read_text()
    assert "WorkingDirectory=/opt/detbox" in unit and user_data["power_state"]["condition"][-1] == "/run/detbox/restart"
