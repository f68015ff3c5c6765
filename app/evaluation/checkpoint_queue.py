"""The queue of checkpoints to evaluate, and what the evaluator waits for."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app.evaluation import pinned_checkpoint
from app.run.directory import Run
from app.run.evaluations import evaluated_steps
from app.run.heartbeat import Heartbeat, write_heartbeat
from app.run.run_end import read_done

log = logging.getLogger(__name__)


def iterate_checkpoints(
    run: Run,
    *,
    once: bool,
    wait_secs: float,
    fault: Callable[[Path], str | None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Iterator[Path]:
    """Yields a prefix for every checkpoint that is not in `evaluations.jsonl` yet, oldest first.

    The files are pinned (`pinned_checkpoint`), so that they stay whole until the next one is asked for; one that
    retention deletes before is left out. Ends when the trainer is done and its last checkpoint has been yielded, or,
    if `once` or the trainer has failed for good, when nothing is left. `fault(prefix)` gives None for a complete
    checkpoint; damaged ones are skipped. While it waits, the heartbeat says for what and since when.
    """
    try:
        yield from _unevaluated(run, once, wait_secs, fault, sleep, clock)
    finally:
        with contextlib.suppress(OSError):  # The disk may be why it ends; the next one to pin removes these links.
            pinned_checkpoint.unpin_checkpoint(run)


def _unevaluated(
    run: Run,
    once: bool,
    wait_secs: float,
    fault: Callable[[Path], str | None],
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Iterator[Path]:
    damaged: set[int] = set()
    logged, started = "", clock()
    while True:
        # Read before the list: what the trainer saved before it was done is then in the list.
        done = read_done(run)
        seen = evaluated_steps(run) | damaged
        waiting = [step for step in run.checkpoint_steps() if step not in seen]
        if waiting:
            prefix = pinned_checkpoint.pin_checkpoint(run, waiting[0])
            found = fault(prefix) if prefix else None
            if found is not None:
                log.warning("evaluate | %s is damaged and skipped: %s", run.checkpoint(waiting[0]), found)
                damaged.add(waiting[0])
            elif prefix is not None:
                logged = ""
                yield prefix
            continue
        if done or once:
            return
        trainer, now = Heartbeat.read(run, "trainer"), clock()
        if trainer.has_failed_for_good(now, since=started):
            log.warning("evaluate | the trainer has failed and is not started again: nothing left to wait for")
            return
        reason = describe_wait(trainer, now)
        if reason != logged:
            log.info("evaluate | waiting: %s", reason)
            logged = reason
        newest = max(seen, default=0)
        write_heartbeat(run, "evaluator", state="waiting", step=newest, of=0, reason=reason)
        sleep(wait_secs)


def describe_wait(trainer: Heartbeat, now: float) -> str:
    """What the evaluator waits for, given the trainer's heartbeat."""
    if not trainer.has_started:
        return "no trainer has started in this run yet"
    where = f"at step {trainer.step} of {trainer.of}"
    if trainer.state in ("failed", "stopped", "preempted"):
        was = "was preempted" if trainer.state == "preempted" else trainer.state
        return f"the trainer {was} {where}; it may be started again"
    if trainer.is_silent(now):
        return f"the trainer's last heartbeat was {where}"
    return f"for the next checkpoint; the trainer is {trainer.state}"
