"""The heartbeat of a service: what it does, how far it is, since when."""

import os
import time
from collections.abc import Callable

from app.run.directory import Run
from app.run.files import read_json, write_json


def write_heartbeat(
    run: Run,
    service: str,
    *,
    state: str,
    step: int,
    of: int,
    reason: str = "",
    clock: Callable[[], float] = time.time,
) -> None:
    """Writes the heartbeat of `service`: what it does (`state`), how far it is, since when, and why it waits.

    States: starting, training, saving, evaluating, waiting, stopped, failed, done. `time` is Unix seconds.
    """
    now = clock()
    previous = read_json(run.status(service)) or {}
    same = previous.get("state") == state and previous.get("reason") == reason
    advanced = previous.get("step") != step
    write_json(
        run.status(service),
        {
            "service": service,
            "state": state,
            "step": step,
            "of": of,
            "reason": reason,
            "time": now,
            "since": previous.get("since", now) if same else now,
            "advanced": now if advanced else previous.get("advanced", now),
            "pid": os.getpid(),
        },
    )


FAILED_FOR_GOOD_SECONDS = 300.0
"""A trainer that failed and was not restarted for so long does not come back."""


def has_failed_for_good(run: Run, now: float) -> bool:
    """Whether the trainer ended with an error and nobody has started it again."""
    trainer = read_json(run.status("trainer")) or {}
    return trainer.get("state") == "failed" and now - trainer.get("time", now) > FAILED_FOR_GOOD_SECONDS


def first_line(error: BaseException) -> str:
    """The first line of an error's words, 300 characters at most: what a heartbeat has room for."""
    return (str(error).splitlines() or [""])[0][:300]
