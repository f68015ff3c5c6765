"""All that detbox runs on this machine: processes of any user, containers of any Compose project."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from app.humanize import format_time
from app.machine.gpus import output
from app.run.files import parse_line
from app.terminal_table import as_text

COMMANDS = ("up", "train", "evaluate", "tensorboard", "prepare")
TITLE = "org.opencontainers.image.title=detbox"
"""The label of detbox's image, which its containers have."""
PROJECT, SERVICE, FOLDER = (f"com.docker.compose.{name}" for name in ("project", "service", "project.working_dir"))
LIST = ["docker", "ps", "--no-trunc", "--filter", f"label={TITLE}", "--format", "{{json .}}"]
SECONDS = 20
Ask = Callable[[list[str]], str | None]


@dataclass(frozen=True)
class Running:
    """One process or Compose project. `owner`: a user or a project; `place`: the process's number, or a folder."""

    kind: str
    owner: str
    what: str
    state: str
    place: str


@dataclass(frozen=True)
class HostStatus:
    """What runs; `unknown`: why nothing is known of containers, if so."""

    running: list[Running]
    unknown: str

    def __str__(self) -> str:
        note = [f"containers: {self.unknown}"] if self.unknown else []
        return "\n".join([_table(self.running) if self.running else "nothing of detbox runs on this machine", *note])


def read_host(ask: Ask | None = None) -> HostStatus:
    """What of detbox runs on this machine now; `ask`: runs a command, and gives its output or None."""
    ask = ask or partial(output, seconds=SECONDS)
    listed = ask(LIST)
    unknown = "" if listed is not None else "docker does not answer, or not to this user"
    return HostStatus([*_processes(), *_projects(listed or "", ask)], unknown)


def _processes() -> Iterator[Running]:
    """Those of this machine that are not in a container of Compose, which are told of as such."""
    own = psutil.Process().pid
    parents = set()
    found = []
    for process in psutil.process_iter(["pid", "ppid", "username", "cmdline", "create_time"]):
        words = process.info["cmdline"] or []
        if process.info["pid"] == own or not (command := _command(words)) or _is_contained(process.info["pid"]):
            continue
        found.append((process.info, command, words))
        parents.add(process.info["pid"])
    for info, command, words in found:
        if info["ppid"] in parents:  # A service of an `up`, or of a process that keeps it.
            continue
        flags = " ".join(word for word in words[words.index(command) + 1 :])
        since = format_time(max(time.time() - info["create_time"], 0))
        yield Running("process", str(info["username"]), f"{command} {flags}".strip(), f"for {since}", str(info["pid"]))


def _command(words: Sequence[str]) -> str:
    """The command of detbox that a command line runs; empty for another program's."""
    for place, word in enumerate(words[:6]):
        is_ours = word.endswith("/detbox") or (word == "entrypoint" and words[place - 1] == "-m")
        if is_ours and words[place + 1 : place + 2] and words[place + 1] in COMMANDS:
            return words[place + 1]
    return ""


def _is_contained(pid: int) -> bool:
    """Whether the process has process numbers of its own, as those of containers have, and this one has not."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    except OSError:  # Of another user: only by its control group.
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
                return any(word in file.read() for word in ("docker", "libpod", "containerd"))
        except OSError:
            return False


def _projects(listed: str, ask: Ask) -> Iterator[Running]:
    """A line a project; the step is asked of one of its containers."""
    projects: dict[str, list[dict[str, Any]]] = {}
    for line in listed.splitlines():
        row = parse_line(line.encode())
        if isinstance(row, dict):
            labels = dict(pair.partition("=")[::2] for pair in str(row.get("Labels", "")).split(","))
            projects.setdefault(labels.get(PROJECT, "without a project"), []).append(row | {"labels": labels})
    for project, rows in sorted(projects.items()):
        names = ", ".join(sorted(row["labels"].get(SERVICE) or str(row.get("Names", "")) for row in rows))
        folder = next((row["labels"].get(FOLDER, "") for row in rows), "")
        yield Running("containers", project, names, _steps(str(rows[0].get("ID", "")), ask), folder)


def _steps(container: str, ask: Ask) -> str:
    """The runs of a container's volume on which something works, each with its step."""
    text = ask(["docker", "exec", container, "detbox", "status", "--json"])
    try:
        runs = json.loads(text or "")["runs"]
        active = [run for run in runs if not run["done"]] or runs
        return "; ".join(f"{run['run']}: step {run['step']} of {run['of'] or '?'}, {run['trainer']}" for run in active)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "no answer"


def _table(rows: Iterable[Running]) -> str:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("", "whose", "what", "state", "where", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, (row.kind, row.owner, row.what, row.state, row.place)))
    return as_text(table)
