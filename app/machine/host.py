"""A host before anything is installed on it: its files, its commands, its environment."""

from __future__ import annotations  # The host's own Python reads this, without a package of ours.

import glob
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 60
"""For a command: an engine that hangs is told, not waited for."""


@dataclass(frozen=True)
class Answer:
    """What came of a command. `code` is None if it is not there or did not end in time."""

    code: int | None
    out: str = ""
    error: str = ""

    @property
    def message(self) -> str:
        """The last line of what it complained of."""
        lines = (self.error.strip() or self.out.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit code {self.code}"


def free_bytes(path: Path) -> int:
    """What the file system of a path, or of the nearest folder above it, has free."""
    while not os.path.exists(path) and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


@dataclass(frozen=True)
class Host:
    """`root`: where its files are seen. `clone`: the folder of compose.yaml."""

    root: Path = Path("/")
    clone: Path = Path(__file__).parents[2]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    free: Callable[[Path], int] = free_bytes

    def path(self, name: str) -> Path:
        """Where the host's file `name` is seen from here."""
        return self.root / name.lstrip("/")

    def has(self, name: str) -> bool:
        return os.path.exists(self.path(name))

    def text(self, name: str) -> str:
        """What a file says, stripped; empty without it."""
        try:
            return self.path(name).read_text(errors="replace").strip()
        except OSError:
            return ""

    def find(self, pattern: str) -> list[str]:
        """Names on the host that fit a pattern."""
        found = sorted(glob.glob(str(self.path(pattern))))
        return [f"/{Path(path).relative_to(self.root)}" for path in found]

    def has_command(self, name: str) -> bool:
        return shutil.which(name, path=self.environ.get("PATH", os.defpath)) is not None

    def ask(self, *argv: str) -> Answer:
        """Runs a command in the clone."""
        environ = {**self.environ, "LC_ALL": "C"}
        folder = self.clone if self.clone.is_dir() else None
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", timeout=SECONDS, env=environ, cwd=folder
            )
        except OSError as error:
            return Answer(None, error=f"{argv[0]}: {error.strerror}")
        except subprocess.TimeoutExpired:
            return Answer(None, error=f"{argv[0]} did not answer for {SECONDS} s")
        return Answer(done.returncode, done.stdout, done.stderr)

    def output(self, argv: list[str]) -> str | None:
        """The stdout of a command, None if it failed."""
        answer = self.ask(*argv)
        return answer.out if answer.code == 0 else None

    def ask_json(self, *argv: str) -> tuple[Any, Answer]:
        """The JSON object that a command prints, an empty one if it prints none, and all else that came of it."""
        answer = self.ask(*argv)
        try:
            found = json.loads(answer.out)
        except ValueError:
            found = {}
        return found if isinstance(found, dict) else {}, answer
