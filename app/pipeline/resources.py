"""Whether a run fits on the disk and into the memory that are there."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from app.pipeline import footprint
from app.pipeline.finding import Finding, error, warning
from app.protos.pipeline_config import PipelineConfig
from app.settings import flag
from app.write_schedule import WriteSchedule

KEEP = flag("checkpoint_max_to_keep")
BACKLOG = flag("checkpoint_backlog_max")
IMAGES = flag("image_summary_every_n")


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What is there, in bytes; None where it is not known.

    `checkpoint_bytes`: the size of a checkpoint of this very run, where it has one; 0: estimated. `memory_of`: `GPU`
    or `host`, whose memory `memory_bytes` is, per device.
    """

    schedule: WriteSchedule
    free_bytes: int | None = None
    checkpoint_bytes: int = 0
    present_bytes: int = 0
    """What checkpoints and events of this run take already."""
    memory_bytes: int | None = None
    memory_of: str = "GPU"


def check(config: PipelineConfig, resources: Resources, replicas: int = 1, parts: int = 1) -> Iterator[Finding]:
    """Findings on disk and memory, for updates of `parts` passes.

    Estimates: what they say is rounded, and memory is never more than a warning.
    """
    yield from _check_disk(config, resources)
    yield from _check_memory(config, resources, replicas, parts)


def _check_disk(config: PipelineConfig, resources: Resources) -> Iterator[Finding]:
    each = resources.checkpoint_bytes or footprint.checkpoint_bytes(config)
    if resources.free_bytes is None:
        return
    surely, at_most = footprint.checkpoints(resources.schedule)
    events = footprint.event_bytes(config, resources.schedule)
    free = resources.free_bytes + resources.present_bytes
    need, need_at_most = each * surely + events, each * at_most + events
    sum_of = f"{surely} checkpoints of {_gb(each)} and {_gb(events)} of events"
    if need > free:
        what = f"the run will take about {_gb(need)} ({sum_of}), {_gb(free)} are free"
        yield error(what, "models_dir", f"free space, or keep less: {KEEP if each * surely > events else IMAGES}")
    elif need_at_most > free:
        what = (
            f"{_gb(free)} are free: enough for {sum_of}, not for {_gb(need_at_most)}, which it can come to "
            "while the evaluator lags behind"
        )
        yield warning(what, "models_dir", f"free space, or {BACKLOG}")


def _check_memory(config: PipelineConfig, resources: Resources, replicas: int, parts: int) -> Iterator[Finding]:
    batch = -(-config.train_config.batch_size // (max(replicas, 1) * parts))
    estimate = footprint.memory_bytes(config, batch)
    if estimate is None or not resources.memory_bytes or batch < 1:
        return
    least, most = estimate
    if most <= resources.memory_bytes:
        return
    there = f"the {resources.memory_of} has {_gb(resources.memory_bytes)}"
    wide = f"training {batch} images at a time is estimated at {_gb(least)} to {_gb(most)} of memory, {there}"
    fitting = _largest_batch(config, batch, resources.memory_bytes)
    smaller = flag("batch_size", str(fitting * replicas)) if fitting else "a smaller model: --model"
    what = f"{wide}: it will hardly fit" if least > resources.memory_bytes else f"{wide}: it may not fit"
    yield warning(what, "", f"{smaller}, or smaller images: {flag('image_size')}")


def _largest_batch(config: PipelineConfig, batch: int, memory: int) -> int:
    """The most images below `batch` whose higher estimate is within `memory`; 0 for none."""

    def most(size: int) -> int:
        return (footprint.memory_bytes(config, size) or (0, 0))[1]

    return bisect.bisect_right(range(1, batch), memory, key=most)


def _gb(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 5e7 else f"{number / 1e6:.0f} MB"
