"""The file of results, a line an injection, and the table of it in the documentation."""

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from entrypoint.reference import fill


@dataclass(kw_only=True)
class Injection:
    """One fault.

    `lost_steps`: those that had to be made again, None where that was not to be seen; `lost_seconds`: until the work
    was where it had been; `problem`: what the oracle says, empty for one that was survived.
    """

    fault: str
    seed: int
    number: int
    forked: bool = True
    phase: str = ""
    lost_steps: int | None = None
    lost_seconds: float | None = None
    problem: str = ""
    kept: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        return self.fault, self.seed, self.number


def append(path: Path, injection: Injection) -> None:
    """Adds a line, in one write: several processes add to one file."""
    line = json.dumps(asdict(injection)) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def read(paths: Iterable[Path]) -> list[Injection]:
    """All injections; one that was made twice counts as its last."""
    lines = [line for path in paths if path.exists() for line in path.read_text().split("\n") if line]
    return list({found.key: found for found in (Injection(**json.loads(line)) for line in lines)}.values())


def table(injections: Sequence[Injection], order: Mapping[str, str]) -> str:
    """A row for each kind of fault that was injected; `order`: kinds with what is done, as in `kinds.KINDS`."""
    heads = "fault", "what is done", "times", "survived", "steps lost, at most", "seconds lost: median", "at most"
    lines = [heads, ("---",) * len(heads)]
    total = survived = 0
    for name, what in order.items():
        own = [found for found in injections if found.fault == name]
        if own:
            well = sum(not found.problem for found in own)
            total, survived = total + len(own), survived + well
            steps = [found.lost_steps for found in own if found.lost_steps is not None]
            seconds = [found.lost_seconds for found in own if found.lost_seconds is not None]
            lost = str(max(steps)) if steps else ""
            median, most = (f"{statistics.median(seconds):.1f}", f"{max(seconds):.1f}") if seconds else ("", "")
            lines.append((f"`{name}`", what, str(len(own)), str(well), lost, median, most))
    lines.append(("all", "", str(total), str(survived), "", "", ""))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_table(page: Path, content: str) -> None:
    """Puts the table into the page, between its markers."""
    page.write_text(fill(page.read_text("utf-8"), "faults", content), "utf-8")
