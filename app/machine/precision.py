"""What half precision a machine is good at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.machine import gpus

Precision = Literal["off", "bfloat16", "float16"]
Asked = Literal["auto", "off", "bfloat16", "float16"]
OF_BFLOAT16: gpus.Version = (8, 0)
"""From here on tensor cores compute in bfloat16, which has float32's range."""
OF_FLOAT16: gpus.Version = (7, 0)
"""From here on there are tensor cores, for float16 alone (CUDA C++ Programming Guide, "Arithmetic Instructions")."""


@dataclass(frozen=True)
class Choice:
    """A precision, `off` for float32, and why."""

    precision: Precision
    reason: str


def choose(asked: Asked, capabilities: Sequence[gpus.Version]) -> Choice:
    """The precision for what `mixed_precision` asks on GPUs of these compute capabilities, none of them on a CPU."""
    least = min(capabilities, default=None)
    if asked == "auto":
        return _choose(least)
    reason = "as asked for"
    if asked != "off" and least is None:
        reason += "; slower on a CPU"
    elif asked == "bfloat16" and least is not None and least < OF_BFLOAT16:
        reason += (
            f"; compute capability {gpus.version_text(least)} is below {gpus.version_text(OF_BFLOAT16)} and slow at it"
        )
    return Choice(asked, reason)


def _choose(least: gpus.Version | None) -> Choice:
    if least is None:
        return Choice("off", "no GPU is used, and on a CPU half precision is slower")
    capability = f"compute capability {gpus.version_text(least)}"
    if least >= OF_BFLOAT16:
        return Choice("bfloat16", capability)
    if least >= OF_FLOAT16:
        return Choice("float16", f"{capability} has no bfloat16; losses are scaled")
    return Choice("off", f"{capability} has no tensor cores")


def capabilities_listed(
    ask: Callable[[list[str]], str | None] = gpus.output, *, environ: Mapping[str, str]
) -> list[gpus.Version]:
    """Those of the GPUs that TensorFlow will use by what the driver says, where TensorFlow is not loaded."""
    there = gpus.visible(gpus.read_gpus(ask), environ)
    return [gpu.compute_capability for gpu in there if gpus.gpu_support(gpu).kind != "none"]
