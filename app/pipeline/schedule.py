"""The learning rate of a run, tied to its number of steps.

Upstream has four shapes: cosine, manual steps, exponential decay, constant. A schedule that was written for
another number of steps is stretched in proportion; another peak multiplies every rate in it.
"""

import math
from collections.abc import Sequence
from typing import Any

from app.errors import SettingsError
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag

STEP_BOUNDARIES = (2 / 3, 8 / 9)
"""Where the `step` shape divides the rate by ten: 60k and 80k of 90k steps, Detectron's 1x schedule."""

WARMUP_FRACTION = 0.1
"""The part of a run that warm-up takes at most."""

WARMUP_START = 0.1
"""Where warm-up starts, as a part of the peak, for a model that has no warm-up of its own."""


def rate_message(config: PipelineConfig) -> Any:
    """The LearningRate message of whichever optimizer is set; SettingsError if none is."""
    optimizer = config.train_config.optimizer
    kind = optimizer.WhichOneof("optimizer")
    rate = getattr(optimizer, kind).learning_rate if kind else None
    if rate is None or rate.WhichOneof("learning_rate") is None:
        raise SettingsError(
            "has no optimizer with a learning rate", where="train_config", remedy=f"add one: {flag('config_override')}"
        )
    return rate


def peak(rate: Any) -> float:
    """The highest learning rate of a LearningRate message."""
    kind, body = _body(rate)
    if kind == "cosine_decay_learning_rate":
        return body.learning_rate_base
    if kind == "constant_learning_rate":
        return body.learning_rate
    if kind == "manual_step_learning_rate":
        return max([body.initial_learning_rate, *(entry.learning_rate for entry in body.schedule)])
    return body.initial_learning_rate


def scale(rate: Any, factor: float) -> None:
    """Multiplies every rate in a LearningRate message."""
    for message in [body := _body(rate)[1], *getattr(body, "schedule", ())]:
        for field, value in message.ListFields():
            if field.name.endswith(("learning_rate", "learning_rate_base")):
                setattr(message, field.name, value * factor)


def scaled_peak(rate: float, batch_size: int, origin_batch_size: int) -> float:
    """`rate` for another batch size, by the square root of the ratio.

    The variance of the averaged gradient goes with 1/batch, so the noise of a step stays the same when the
    rate goes with sqrt(batch): Krizhevsky 2014 (arXiv:1404.5997, section 5), Hoffer et al. 2017
    (arXiv:1705.08741). The linear rule (Goyal et al. 2017) holds for large batches; from 128 down to 8 it
    makes short fine-tunes too slow.
    """
    return rate * math.sqrt(batch_size / origin_batch_size)


def warmup_of(rate: Any) -> tuple[int, float]:
    """Steps of warm-up, and the rate that it starts from."""
    kind, body = _body(rate)
    if kind == "cosine_decay_learning_rate":
        return body.warmup_steps, body.warmup_learning_rate
    if kind == "exponential_decay_learning_rate":
        return body.burnin_steps, body.burnin_learning_rate
    if kind == "manual_step_learning_rate" and body.warmup and body.schedule:
        return body.schedule[0].step, body.initial_learning_rate
    return 0, 0.0


def edit(rate: Any, *, shape: str, new_peak: float, steps: int, origin_steps: int, warmup_steps: int | None) -> None:
    """Rewrites `rate` for a run of `steps` steps with the highest rate `new_peak`.

    `shape`: cosine, step, constant, or empty for the one it has. `origin_steps`: the run it was written for
    (0: unknown, boundaries stay). `warmup_steps`: None for its own, at most a tenth of the run.
    """
    own_steps, start = warmup_of(rate)
    warmup = min(own_steps, int(steps * WARMUP_FRACTION)) if warmup_steps is None else warmup_steps
    if warmup and warmup >= steps:
        raise SettingsError(f"{warmup} steps of warm-up do not fit into a run of {steps}", remedy=flag("warmup_steps"))
    factor = new_peak / peak(rate)
    start = start * factor if own_steps else new_peak * WARMUP_START
    start = min(start, new_peak)
    stretch = steps / origin_steps if origin_steps else 1.0
    kind, body = _body(rate)
    if shape == "constant" or (not shape and kind == "constant_learning_rate"):
        _write_constant(rate, new_peak, warmup, start)
    elif shape == "step":
        boundaries = [round(steps * part) for part in STEP_BOUNDARIES]
        _write_manual(rate, [new_peak, new_peak / 10, new_peak / 100], boundaries, warmup, start)
    elif shape == "cosine" or kind == "cosine_decay_learning_rate":
        hold = round(body.hold_base_rate_steps * stretch) if kind == "cosine_decay_learning_rate" else 0
        _write_cosine(rate, new_peak, steps, warmup, start, hold)
    elif kind == "manual_step_learning_rate":
        _stretch_manual(rate, body, factor, stretch, warmup, start)
    else:
        _stretch_exponential(body, factor, stretch, warmup, start)


def length(config: PipelineConfig) -> int | None:
    """Steps that the schedule is written for, or None for a shape that has no end."""
    kind, body = _body(rate_message(config))
    if kind == "cosine_decay_learning_rate":
        return body.total_steps
    if kind == "manual_step_learning_rate" and body.schedule:
        return body.schedule[-1].step
    return None


def _body(rate: Any) -> tuple[str, Any]:
    kind = rate.WhichOneof("learning_rate")
    return kind, getattr(rate, kind)


def _write_cosine(rate: Any, new_peak: float, steps: int, warmup: int, start: float, hold: int) -> None:
    body = rate.cosine_decay_learning_rate
    body.learning_rate_base = new_peak
    body.total_steps = steps
    body.warmup_steps = warmup
    body.warmup_learning_rate = start if warmup else 0.0
    # Upstream divides by total - warmup - hold.
    if hold or body.HasField("hold_base_rate_steps"):
        body.hold_base_rate_steps = max(0, min(hold, steps - warmup - 1))


def _write_constant(rate: Any, new_peak: float, warmup: int, start: float) -> None:
    if warmup:
        _write_manual(rate, [new_peak], [], warmup, start)
    else:
        rate.constant_learning_rate.learning_rate = new_peak


def _write_manual(rate: Any, rates: Sequence[float], boundaries: Sequence[int], warmup: int, start: float) -> None:
    """`rates` is one longer than `boundaries`; upstream wants these strictly ascending and above 0."""
    rate.ClearField("manual_step_learning_rate")
    body = rate.manual_step_learning_rate
    steps = list(boundaries)
    if warmup:
        # Upstream's warm-up is a ramp from the first rate to the second, up to the first boundary.
        rates, steps = [start, *rates], [warmup, *steps]
        body.warmup = True
    body.initial_learning_rate = rates[0]
    last = 0
    for step, value in zip(steps, rates[1:], strict=True):
        last = max(step, last + 1)
        body.schedule.add(step=last, learning_rate=value)


def _stretch_manual(rate: Any, body: Any, factor: float, stretch: float, warmup: int, start: float) -> None:
    entries = list(body.schedule)
    if body.warmup and entries:
        first, entries = entries[0].learning_rate, entries[1:]
    else:
        first = body.initial_learning_rate
    rates = [value * factor for value in (first, *(entry.learning_rate for entry in entries))]
    boundaries = [round(entry.step * stretch) for entry in entries]
    if not boundaries and not warmup:
        rate.constant_learning_rate.learning_rate = rates[0]
    else:
        _write_manual(rate, rates, boundaries, warmup, start)


def _stretch_exponential(body: Any, factor: float, stretch: float, warmup: int, start: float) -> None:
    body.initial_learning_rate *= factor
    if body.HasField("min_learning_rate"):
        body.min_learning_rate *= factor
    body.decay_steps = max(1, round(body.decay_steps * stretch))
    if warmup or body.burnin_steps:
        body.burnin_steps = warmup
        body.burnin_learning_rate = start if warmup else 0.0
