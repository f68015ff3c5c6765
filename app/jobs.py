"""The use cases of detbox: one function per command, and the only place that wires the parts together.

Each takes the whole `Settings`, hands the parts the few values that they need, and returns what the command prints.
Heavy imports stay inside the functions: most commands need no TensorFlow.
"""

from dataclasses import dataclass

from app.settings import Settings


@dataclass(frozen=True)
class Job:
    """What a command line asks for: the name of a function below, with its settings.

    It can't be called and holds no function: Fire, which is given it, calls whatever it can.
    """

    command: str
    settings: Settings
