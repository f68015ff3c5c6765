"""Which checkpoint the evaluator takes next, or what it waits for."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.evaluation import pinned_checkpoint
from app.run.directory import Run
from app.run.evaluations import evaluated_steps
from app.run.files import read_json
from app.run.heartbeat import has_failed_for_good, write_heartbeat

log = logging.getLogger(__name__)

STALE_SECONDS = 60.0
"""A trainer whose heartbeat is older than this is not waited for silently."""


def checkpoints(
    run: Run,
    *,
    once: bool,
    wait_secs: float,
    fault: Callable[[Path], str | None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Iterator[Path]:
    """Yields a prefix for every checkpoint that is not in `evaluations.jsonl` yet, oldest first.

    The files are the evaluator's own (`claim`), so that they stay whole until the next one is asked for; one that
    retention deletes before is left out. Ends when the trainer is done and its last checkpoint has been yielded, or,
    if `once` or the trainer has failed for good, when nothing is left. `fault(prefix)` gives None for a whole
    checkpoint; broken ones are passed over. While it waits, the heartbeat says for what and since when.
    """
    try:
        yield from _each(run, once, wait_secs, fault, sleep, clock)
    finally:
        pinned_checkpoint.unpin_checkpoint(run)


def _each(run, once, wait_secs, fault, sleep, clock) -> Iterator[Path]:
    broken: set[int] = set()
    said = ""
    while True:
        # Looked at before the list: what the trainer saved before it was done is then in the list.
        done = read_json(run.done)
        seen = evaluated_steps(run) | broken
        waiting = [step for step in run.checkpoint_steps() if step not in seen]
        if waiting:
            prefix = pinned_checkpoint.pin_checkpoint(run, waiting[0])
            what = fault(prefix) if prefix else None
            if what is not None:
                log.warning("evaluate | %s is broken and passed over: %s", run.checkpoint(waiting[0]), what)
                broken.add(waiting[0])
            elif prefix is not None:
                said = ""
                yield prefix
            continue
        if done or once:
            return
        if has_failed_for_good(run, clock()):
            log.warning("evaluate | the trainer has failed and does not come back: nothing left to wait for")
            return
        reason = why_waiting(read_json(run.status("trainer")), clock())
        if reason != said:
            log.info("evaluate | waiting: %s", reason)
            said = reason
        newest = max(seen, default=0)
        write_heartbeat(run, "evaluator", state="waiting", step=newest, of=0, reason=reason)
        sleep(wait_secs)


def why_waiting(trainer: dict[str, Any] | None, now: float) -> str:
    """What the evaluator waits for, in words."""
    if trainer is None:
        return "no trainer has started in this run yet"
    state, step, of = trainer.get("state"), trainer.get("step", 0), trainer.get("of", 0)
    if state in ("failed", "stopped"):
        return f"the trainer {state} at step {step} of {of}; it may come back"
    if now - trainer.get("time", now) > STALE_SECONDS:
        return f"the trainer was last heard of at step {step} of {of}"
    return f"for the next checkpoint; the trainer is {state}"
