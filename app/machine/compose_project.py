"""What the compose files and `.env` of a clone ask of a host, as Compose itself resolves them."""

from __future__ import annotations  # The host's own Python reads this, without a package of ours.

import os
import platform
import re
import socket
from dataclasses import dataclass
from typing import Any

from app.compose_variables import NAMES, find_misspelt
from app.errors import did_you_mean
from app.humanize import format_bytes
from app.machine.container_engine import Engine
from app.machine.diagnosis import Check
from app.machine.host import Host

PULLED = {True: 7e9, False: 2e9}
"""Bytes of the image for GPUs and of that for the CPU, as README.md has them."""
BUILT = {True: 12e9, False: 4e9}
"""With what building leaves: the cache of packages, layers of the stages before the last."""
FOR_RUNS = 5e9
"""Bytes that checkpoints and events of a run may take."""
CPU_FILES = "put COMPOSE_FILE=compose.yaml:compose.cpu.yaml into .env"


@dataclass(frozen=True)
class Project:
    """`docker compose config`, with the answers that are asked of it."""

    services: dict[str, dict[str, Any]]

    @property
    def wants_gpu(self) -> bool:
        resources = (self._trainer.get("deploy") or {}).get("resources") or {}
        return bool((resources.get("reservations") or {}).get("devices"))

    @property
    def image(self) -> str:
        return str(self._trainer.get("image") or "")

    @property
    def memory_limit(self) -> int:
        """Bytes; 0 without one."""
        return int(self._trainer.get("mem_limit") or 0)

    @property
    def folders(self) -> dict[str, str]:
        """Folders of this machine that the containers write to, by what they are there; others are volumes."""
        mounts = self._trainer.get("volumes") or []
        binds = {str(mount.get("target")): str(mount.get("source")) for mount in mounts if mount.get("type") == "bind"}
        return {target: binds[target] for target in ("/models", "/results") if target in binds}

    @property
    def user(self) -> tuple[int, int]:
        """User and group that write there."""
        user, _, group = str(self._trainer.get("user") or "0").partition(":")
        return int(user), int(group or user)

    @property
    def tensorboard_ports(self) -> tuple[str, range]:
        """The address and the ports of this machine, of which the first free one is taken; none where any will do."""
        for port in self.services.get("tensorboard", {}).get("ports") or []:
            first, _, last = str(port.get("published") or "").partition("-")
            if int(first or 0):
                return str(port.get("host_ip") or "0.0.0.0"), range(int(first), int(last or first) + 1)
        return "", range(0)

    @property
    def _trainer(self) -> dict[str, Any]:
        return self.services.get("trainer", {})


def check_files(host: Host, number_of_gpus: int) -> tuple[Project | None, list[Check]]:
    """Whether Compose takes files and `.env`, and they fit the machine."""
    if not (host.clone / "compose.yaml").is_file() or not host.has_command("docker"):
        return None, []
    found, answer = host.ask_json("docker", "compose", "config", "--format", "json")
    if not found.get("services"):
        return None, [Check("compose files", "fail", answer.message, f"see .env in {host.clone}")]
    project = Project(found["services"])
    if project.wants_gpu and platform.machine() != "x86_64":
        text = f"they give the trainer a GPU, and on {platform.machine()} there is no image with CUDA"
        return project, [Check("compose files", "fail", text, CPU_FILES)]
    dotenv = ", .env" if (host.clone / ".env").exists() else ""
    if project.wants_gpu and not number_of_gpus:
        text = "they give the trainer a GPU, and no driver shows one here"
        return project, [Check("compose files", "fail", text, f"{CPU_FILES}, or install the driver")]
    if number_of_gpus and not project.wants_gpu:
        return project, [
            Check("compose files", "warn", "they train on the CPU, with a GPU at hand", "take compose.yaml alone")
        ]
    return project, [
        Check("compose files", "ok", f"valid{dotenv}: the trainer has {'a GPU' if project.wants_gpu else 'no GPU'}")
    ]


def check_settings(host: Host) -> list[Check]:
    """Names in `.env` that are none of detbox', which its containers would refuse only after the build."""
    known = set(re.findall(r"DETBOX_\w+", _text(host, ".env.example") + _text(host, "deploy/cloud-init.yaml")))
    names = re.findall(r"^\s*(?:export\s+)?(\w+)\s*=", _text(host, ".env"), re.MULTILINE)
    if not (known and names):
        return []
    unknown = [name for name in names if name.startswith("DETBOX_") and name not in known]
    if misspelt := unknown[:1] or [found for found in [find_misspelt(set(names) - known)] if found]:
        remedy = did_you_mean(misspelt[0], [*sorted(known), *NAMES]) or "see .env.example"
        return [Check("settings", "fail", f".env: variable {misspelt[0]} is unknown", remedy, exit_code=3)]
    return [Check("settings", "ok", f"{len(names)} in .env, all of known names")]


def _text(host: Host, name: str) -> str:
    try:
        return (host.clone / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def check_project(host: Host, engine: Engine, project: Project) -> list[Check]:
    """Disk, memory and ports for it. An engine on another machine has its own."""
    if engine.info and engine.info.get("Name") not in ("", None, host.text("/proc/sys/kernel/hostname")):
        text = f"the engine runs on {engine.info['Name']}: disk, memory and ports are of there"
        return [Check("place", "warn", text, "run scripts/doctor-host there")]
    checks = [*_check_disk(host, engine, project), *_check_limit(engine, project), _check_port(host, project)]
    return [check for check in checks if check]


def _check_disk(host: Host, engine: Engine, project: Project) -> list[Check]:
    """Where images and runs go; each needs its own where both are on one file system."""
    checks, folder = [], engine.image_folder
    images = _image_bytes(host, project) if folder else 0.0
    if folder:
        runs = 0.0 if "/models" in project.folders else FOR_RUNS
        free, needed = host.free(host.path(folder)), images + runs
        what = f"the image {'is here' if not images else f'takes {format_bytes(images)}'}"
        text = f"{format_bytes(free)} free at {folder}; {what}" + ", runs lie here too" * bool(runs)
        state, remedy = (
            _state(free, needed),
            f"free some (docker system prune), or a larger disk: {format_bytes(needed)}",
        )
        checks.append(Check("disk for images", state, text, remedy * (state != "ok")))
    return checks + [_check_folder(host, project, target, name) for target, name in project.folders.items()]


def _state(free: float, needed: float) -> Any:
    return "ok" if free >= needed else "fail" if free < needed - FOR_RUNS else "warn"


def _image_bytes(host: Host, project: Project) -> float:
    """What is needed of the disk for the image: 0 if it is there."""
    if host.output(["docker", "image", "inspect", "--format", "{{.Id}}", project.image]) is not None:
        return 0.0
    is_ours = project.image in ("detbox:gpu", "detbox:cpu")
    return (BUILT if is_ours else PULLED)[project.wants_gpu]


def _check_folder(host: Host, project: Project, target: str, folder: str) -> Check:
    """Whether the containers' user may write there, and how much."""
    name, (user, group) = f"disk for {target}", project.user
    make = f"sudo install -d -o {user} -g {group} {folder}"
    try:
        found = os.stat(host.path(folder))
    except OSError:
        return Check(name, "fail", f"{folder} does not exist, and the engine would make it for root alone", make)
    needed = 0o300 if found.st_uid == user else 0o030 if found.st_gid == group else 0o003
    if user and found.st_mode & needed != needed:
        return Check(
            name, "fail", f"{folder} can't be written by user {user}", f"sudo chown -R {user}:{group} {folder}"
        )
    free = host.free(host.path(folder))
    text = f"{format_bytes(free)} free at {folder}"
    return Check(
        name, *(("ok", text) if free >= FOR_RUNS else ("warn", text, f"a run takes up to {format_bytes(FOR_RUNS)}"))
    )


def _check_limit(engine: Engine, project: Project) -> list[Check]:
    total = int(engine.info.get("MemTotal") or 0)
    if not (project.memory_limit and total and project.memory_limit > total):
        return []
    text = f"TRAINER_MEMORY is {format_bytes(project.memory_limit)}, the machine has {format_bytes(total)}"
    return [Check("trainer's memory", "warn", text, "a smaller one: else the kernel chooses what to end")]


def _check_port(host: Host, project: Project) -> Check | None:
    address, ports = project.tensorboard_ports
    if not ports:
        return None
    free = next((port for port in ports if _is_free(address, port)), None)
    if free is None:
        if (host.output(["docker", "compose", "port", "tensorboard", "6006"]) or "").strip():
            return Check("port", "ok", f"{ports[0]} on {address} is that of this project's TensorBoard")
        which = f"{ports[0]}" if len(ports) == 1 else f"none of {ports[0]} to {ports[-1]}"
        text = f"{which} is {'taken' if len(ports) == 1 else 'free'} on {address}"
        return Check("port", "fail", text, "scripts/choose-port writes the next free one into .env")
    return Check("port", "ok", f"{free} on {address} is free for TensorBoard")


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((address, port))
        except OSError:
            return False
    return True
