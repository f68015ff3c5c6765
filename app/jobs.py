"""The use cases of detbox: one function per command, and the only place that wires the parts together.

Each takes the whole `Settings`, hands the parts the few values that they need, and returns what the command prints.
Heavy imports stay inside the functions: most commands need no TensorFlow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.settings import Settings


@dataclass(frozen=True)
class Job:
    """What a command line asks for: the use case and its settings. Running it is up to the caller."""

    command: str
    settings: Settings
    run: Callable[[Settings], Any]

    def __call__(self) -> Any:
        return self.run(self.settings)
