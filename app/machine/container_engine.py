"""The container engine of a host: which it is, who may use it, what it can give to containers."""

from __future__ import annotations  # The host's own Python reads this, without a package of ours.

import re
from dataclasses import dataclass, field
from typing import Any

from app.machine.diagnosis import Check
from app.machine.gpus import version_text
from app.machine.host import Host

INSTALL = "install Docker Engine: docs/operations.md, `A GPU VM from nothing`"
ENGINE, BUILDKIT_BY_DEFAULT, COMPOSE = (20, 10), (23, 0), (2, 24)
"""The oldest that docs/operations.md names."""
CONTAINERD_ROOT = "/var/lib/containerd"
CONFIGURE = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
SPECIFICATIONS = ("/etc/cdi/nvidia*", "/var/run/cdi/nvidia*", "/run/cdi/nvidia*")
DAEMON = ("/etc/docker/daemon.json",)


@dataclass(frozen=True)
class Engine:
    """What `docker info` says; empty if the engine can't be asked."""

    info: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> set[str]:
        """`rootless`, `selinux`, `userns`, ..."""
        words = [part for text in self.info.get("SecurityOptions") or [] for part in str(text).split(",")]
        return {word.removeprefix("name=") for word in words if word.startswith("name=")}

    @property
    def image_folder(self) -> str:
        """Where it keeps images."""
        status = str(self.info.get("DriverStatus"))
        return CONTAINERD_ROOT if "io.containerd.snapshotter" in status else str(self.info.get("DockerRootDir") or "")


def check_engine(host: Host) -> tuple[Engine, list[Check]]:
    """Docker Engine, Compose and Buildx: there, new enough, and for this user."""
    if not host.has_command("docker"):
        podman = ", podman is, with which detbox was not tried" if host.has_command("podman") else ""
        return Engine(), [Check("engine", "fail", f"docker is not installed{podman}", INSTALL)]
    info, answer = host.ask_json("docker", "info", "--format", "{{json .}}")
    engine = Engine(info if info.get("ServerVersion") else {})
    told = " ".join([*map(str, info.get("ServerErrors") or []), answer.error]).strip()
    checks = [_check_server(engine, told or answer.message), _check_compose(host), _check_buildx(host, engine)]
    return engine, checks + _check_kind(host, engine)


def _check_server(engine: Engine, complaint: str) -> Check:
    if not engine.info:
        if "permission denied" in complaint.lower():
            remedy = "sudo usermod --append --groups docker $USER, then log in anew"
            return Check("engine", "fail", "this user may not talk to the engine", remedy)
        remedy = "sudo systemctl start docker, or the DOCKER_HOST that is meant"
        return Check("engine", "fail", f"the engine does not answer: {_line(complaint)}", remedy)
    text = f"Docker Engine {engine.info['ServerVersion']} on {engine.info.get('OperatingSystem') or 'this machine'}"
    if _version(engine.info["ServerVersion"]) < ENGINE:
        return Check("engine", "fail", f"{text} is older than {version_text(ENGINE)}", INSTALL)
    return Check("engine", "ok", text)


def _check_compose(host: Host) -> Check:
    answer = host.ask("docker", "compose", "version", "--short")
    package = "install docker-compose-plugin (of docker-ce) or docker-compose-v2 (of Ubuntu)"
    if answer.code != 0 or not _version(answer.out):
        old = ", but docker-compose of version 1 is" if host.has_command("docker-compose") else ""
        return Check("compose", "fail", f"`docker compose` is not there{old}", package)
    text = f"Compose {answer.out.strip().lstrip('v')}"
    if _version(answer.out) < COMPOSE:
        return Check("compose", "fail", f"{text} is older than {version_text(COMPOSE)}", package)
    return Check("compose", "ok", text)


def _check_buildx(host: Host, engine: Engine) -> Check:
    """Needed to build an image, not to run one that is pulled."""
    answer = host.ask("docker", "buildx", "version")
    if answer.code != 0 or not (found := re.search(r"\d+\.\d+(\.\d+)?", answer.out)):
        remedy = "install docker-buildx-plugin (of docker-ce) or docker-buildx (of Ubuntu), or give DETBOX_IMAGE"
        return Check("buildx", "warn", "`docker buildx` is not there: no image can be built", remedy)
    if engine.info and _version(engine.info["ServerVersion"]) < BUILDKIT_BY_DEFAULT:
        return Check("buildx", "ok", f"Buildx {found[0]}; this engine builds with DOCKER_BUILDKIT=1")
    return Check("buildx", "ok", f"Buildx {found[0]}")


def _check_kind(host: Host, engine: Engine) -> list[Check]:
    """What is special about the engine, and what it can't hold."""
    checks = []
    if engine.info and engine.info.get("MemoryLimit") is False:
        text = f"the engine can't limit memory (cgroups version {engine.info.get('CgroupVersion', '?')})"
        checks.append(Check("limits", "warn", text, "TRAINER_MEMORY and the like have no effect"))
    if "rootless" in engine.options:
        text = "rootless: user 1000 of a container is another one of this machine"
        checks.append(Check("rootless", "warn", text, "docs/operations.md says what was tried"))
    if host.text("/sys/fs/selinux/enforce") == "1":
        confined = "confines" if "selinux" in engine.options else "does not confine"
        text = f"SELinux is enforcing, the engine {confined} containers by it"
        remedy = "folders for containers need its label: chcon -R -t container_file_t FOLDER"
        checks.append(
            Check("selinux", "warn" if confined == "confines" else "ok", text, remedy * (confined == "confines"))
        )
    return checks


def check_toolkit(host: Host, engine: Engine, *, needed: bool) -> list[Check]:
    """NVIDIA's container toolkit, and whether the engine that runs now knows it."""
    if not needed:
        return []
    name = "container toolkit"
    answer = host.ask("nvidia-ctk", "--version")
    found = re.search(r"\d+\.\d+\.\d+", answer.out)
    hook = host.has_command("nvidia-container-runtime-hook")
    if answer.code is None and not hook:
        text = "NVIDIA's container toolkit is not installed: no container gets a GPU"
        return [Check(name, "fail", text, f"install nvidia-container-toolkit, then {CONFIGURE}")]
    text = f"version {found[0]}" if found else "an old one, without nvidia-ctk"
    if "rootless" in engine.options and "no-cgroups=true" not in _toolkit_settings(host):
        remedy = "sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place"
        return [Check(name, "fail", f"{text}; a rootless engine needs no-cgroups", remedy)]
    specification = next((names[0] for names in map(host.find, SPECIFICATIONS) if names), "")
    if "nvidia" in (engine.info.get("Runtimes") or {}):
        return [Check(name, "ok", f"{text}, a runtime of the engine" + f", {specification}" * bool(specification))]
    if not engine.info:
        return [Check(name, "warn", f"{text}; the engine can't be asked whether it knows it")]
    if any('"nvidia"' in host.text(name) for name in DAEMON):
        text = f"{text}, in {DAEMON[0]}, which the engine has not read yet"
        return [Check(name, "fail", text, "sudo systemctl restart docker")]
    if hook or specification:
        by = "its hook" if hook else specification
        return [Check(name, "warn", f"{text}, no runtime of the engine, which may find {by}", CONFIGURE)]
    return [Check(name, "fail", f"{text}, which the engine does not know", CONFIGURE)]


def _toolkit_settings(host: Host) -> str:
    """The lines of its configuration that are no comments, without blanks."""
    lines = host.text("/etc/nvidia-container-runtime/config.toml").splitlines()
    return "\n".join(line.replace(" ", "") for line in lines if not line.lstrip().startswith("#"))


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(?:\.\d+)+", str(text))
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
