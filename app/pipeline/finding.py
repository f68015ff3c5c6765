"""One thing that a check found."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and what helps. An `error` keeps training from starting, a `warning` does not."""

    severity: Literal["error", "warning"]
    what: str
    where: str
    remedy: str

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line} -> {self.remedy}" if self.remedy else line


def error(what: str, where: str, remedy: str) -> Finding:
    """A finding that keeps training from starting."""
    return Finding("error", what, where, remedy)


def warning(what: str, where: str, remedy: str) -> Finding:
    """A finding that training can live with."""
    return Finding("warning", what, where, remedy)
