"""How a training step is computed: in which precision, in how many parts, compiled or not."""

from dataclasses import dataclass

from app.errors import SettingsError
from app.machine.precision import Choice, Precision
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag


@dataclass(frozen=True, kw_only=True)
class StepPlan:
    """How each step of a run is computed."""

    precision: Precision = "off"
    """What layers compute in; `off` is float32. Variables and losses are float32 always."""
    parts: int = 1
    """Passes through the model of which one update is made."""
    jit: bool = False
    """Whether XLA compiles what it can."""
    why: str = ""
    """Of the precision."""

    @property
    def is_plain(self) -> bool:
        """Whether upstream's step does it."""
        return self.precision == "off" and self.parts == 1

    def describe(self) -> list[str]:
        """What is said of it before training."""
        precision = "float32" if self.precision == "off" else self.precision
        lines = [f"computes in {precision}{self.why and ': '}{self.why} ({flag('mixed_precision')})"]
        if self.parts > 1:
            lines.append(f"an update is made of {self.parts} passes: batch norm sees the images of one at a time")
        if self.jit:
            lines.append(f"XLA compiles what it can, which makes the first step late ({flag('jit_compile')})")
        return lines


PLAIN = StepPlan()
"""Upstream's step."""


def make(config: PipelineConfig, *, choice: Choice, batch_size: int, effective_batch_size: int, jit: bool) -> StepPlan:
    """The plan for training `config`. SettingsError as `count_parts`."""
    update = config.train_config.batch_size
    parts = count_parts(update, batch_size=batch_size, effective_batch_size=effective_batch_size)
    return StepPlan(precision=choice.precision, parts=parts, jit=jit, why=choice.reason)


def count_parts(update: int, *, batch_size: int, effective_batch_size: int) -> int:
    """The passes that a batch of `update` images, train_config's, is made in. 0: the settings' default.

    SettingsError where passes of `batch_size` images do not make it up.
    """
    if not effective_batch_size:
        return 1
    if not batch_size:
        raise SettingsError(
            f"effective_batch_size {effective_batch_size} is without the images of one pass",
            remedy=f"both together: {flag('effective_batch_size')} and {flag('batch_size')}",
        )
    if update % batch_size:
        near = max(1, round(update / batch_size)) * batch_size
        raise SettingsError(
            f"an update of {update} images is not made up by passes of {batch_size}",
            remedy=f"{flag('effective_batch_size', str(near))}, or another {flag('batch_size')}",
        )
    return update // batch_size
