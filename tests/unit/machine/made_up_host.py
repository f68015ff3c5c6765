"""Hosts that are made up: a folder in place of `/`, programs that answer as theirs do."""

import json
from pathlib import Path

from app.machine.host import Host

MEMINFO = "MemTotal:       65536000 kB\nMemFree: 1 kB\nMemAvailable:   60000000 kB\n"
L4 = "0, GPU-aa, NVIDIA L4, 8.9, 570.86.15\n"
INFO = {
    "ServerVersion": "27.5.1",
    "OperatingSystem": "Ubuntu 24.04.2 LTS",
    "Name": "gpu-vm",
    "DockerRootDir": "/var/lib/docker",
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "CgroupVersion": "2",
    "MemoryLimit": True,
    "MemTotal": 65_000_000_000,
    "Runtimes": {"runc": {}, "nvidia": {}},
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin"],
}
GPU = {"resources": {"reservations": {"devices": [{"driver": "nvidia", "count": -1}]}}}
TRAINER = {
    "image": "detbox:gpu",
    "user": "1000:1000",
    "deploy": GPU,
    "volumes": [{"type": "volume", "source": "models", "target": "/models"}],
}


class MadeUpHost:
    """A VM with an L4, Ubuntu and all that is needed; a test takes away or changes what it is about."""

    def __init__(self, folder: Path, free: float = 100e9):
        self.root, self.bin, self.clone = folder / "root", folder / "bin", folder / "clone"
        for made in (self.root, self.bin, self.clone):
            made.mkdir(parents=True)
        self.free, self.info, self.trainer = free, dict(INFO), dict(TRAINER)
        self.tensorboard_port = {"host_ip": "127.0.0.1", "target": 6006, "published": "20000-20999"}
        self.failures: dict[str, tuple[str, int]] = {}
        self.answers = {
            "compose version": "2.32.4",
            "buildx version": "github.com/docker/buildx v0.20.0 8e30c46",
        }
        (self.clone / "compose.yaml").touch()
        self.write("/proc/meminfo", MEMINFO)
        self.write("/proc/sys/kernel/hostname", "gpu-vm\n")
        self.write("/sys/fs/cgroup/cgroup.controllers", "memory\n")
        self.write("/etc/os-release", 'PRETTY_NAME="Ubuntu 24.04.2 LTS"\n')
        self.device("0x030200")
        self.command("nvidia-smi", L4)
        self.command("nvidia-ctk", "NVIDIA Container Toolkit CLI version 1.17.4\n")
        self.command("nvidia-container-runtime-hook", "")
        self.command("timedatectl", "yes\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def device(self, pci_class: str) -> None:
        """One more of NVIDIA's PCI devices."""
        number = len(list(self.root.glob("sys/bus/pci/devices/*")))
        for name, text in (("vendor", "0x10de"), ("class", pci_class)):
            self.write(f"/sys/bus/pci/devices/0000:00:0{number}.0/{name}", f"{text}\n")

    def command(self, name: str, out: str, code: int = 0, error: str = "") -> None:
        """A program that says this, whatever it is asked."""
        self._program(name, f"printf %s {_quoted(out)}; printf %s {_quoted(error)} >&2; exit {code}")

    def fail(self, words: str, error: str, code: int = 1) -> None:
        """Has `docker WORDS...` fail."""
        self.failures[words] = (error, code)

    def without(self, *names: str) -> None:
        """Takes programs away; `docker` stays away, too."""
        for name in names:
            self.failures[name] = ("", 127)
            (self.bin / name).unlink(missing_ok=True)

    def host(self) -> Host:
        """It as the checks see it, with the engine as it is described now."""
        if "docker" not in self.failures:
            self._write_docker()
        return Host(self.root, self.clone, {"PATH": str(self.bin)}, lambda path: int(self.free))

    def _write_docker(self) -> None:
        services = {"trainer": self.trainer, "tensorboard": {"ports": [self.tensorboard_port]}}
        answers = {
            **self.answers,
            "info": json.dumps(self.info),
            "compose config": json.dumps({"services": services}),
        }
        cases = [
            f"{_pattern(words)}) printf %s {_quoted(error)} >&2; exit {code};;"
            for words, (error, code) in self.failures.items()
        ]
        cases += [f"{_pattern(words)}) printf %s {_quoted(out)}; exit 0;;" for words, out in answers.items()]
        self._program("docker", "\n".join(['case "$*" in', *cases, "*) exit 1;;", "esac"]))

    def _program(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)


def _pattern(words: str) -> str:
    return f"{_quoted(words)}*"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
