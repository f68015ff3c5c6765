"""What checks of a machine found, as lines for people and an exit code."""

from __future__ import annotations  # A host's own Python reads this as well.

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Check:
    """One thing looked at. `exit_code` counts only for `fail`."""

    name: str
    state: Literal["ok", "warn", "fail"]
    text: str
    remedy: str = ""
    exit_code: int = 1

    def __str__(self) -> str:
        return f"{self.text} -> {self.remedy}" if self.remedy else self.text


@dataclass(frozen=True)
class Diagnosis:
    """All checks, in the order in which they were made."""

    checks: list[Check]
    revision: str | None = None
    od_api: dict[str, Any] = field(default_factory=dict, repr=False)
    """The record of the OD API's build: upstream's version and hashes, the patches with theirs."""
    image: dict[str, Any] = field(default_factory=dict, repr=False)
    """What the image was built of; empty outside one."""

    @property
    def exit_code(self) -> int:
        """The highest code of a failed check, 0 without one."""
        return max((check.exit_code for check in self.checks if check.state == "fail"), default=0)

    def __str__(self) -> str:
        width = max(len(check.name) for check in self.checks)
        return "\n".join(f"{check.state:<4}  {check.name:<{width}}  {check}" for check in self.checks)


def first_remedies(remedies: Iterable[str]) -> str:
    """Remedies in one line, each once, without empty ones."""
    return "; ".join(dict.fromkeys(remedy for remedy in remedies if remedy))
