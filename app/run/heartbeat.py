"""The heartbeat of a service: what it does, how far it is, since when, and whether that is progress."""

import errno
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from app.humanize import format_time
from app.run.directory import Run
from app.run.files import overwrite_json, read_object, write_json
from app.run.lenient_json import Schema, count, moment, text

HEALTHY_SECONDS: Mapping[str, float] = {
    "starting": 1200.0,
    "training": 300.0,
    "saving": 300.0,
    "evaluating": 3600.0,
    "waiting": 120.0,
}
"""Seconds that a service may be in a state without a sign of progress.

Loading TensorFlow and compiling the step takes minutes on a GPU that TensorFlow has no kernels for; a large
evaluation set takes the better part of an hour, during which the evaluator writes no heartbeat.
"""
SILENT_SECONDS = 60.0
"""A heartbeat older than this is no sign of life."""
FAILED_FOR_GOOD_SECONDS = 300.0
"""A service that failed and was not restarted for so long does not come back."""
NOT_STARTED = "not started"
ENDED = ("done", "failed", "stopped", "preempted")
HEARTBEAT = Schema(
    {
        "state": text,
        "step": count,
        "of": count,
        "reason": text,
        "time": moment,
        "since": moment,
        "advanced": moment,
        "starts": count,
        "failures": count,
        "code": count,
    },
    required=("state", "time"),
)


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """The newest heartbeat of `service`.

    States: starting, training, saving, evaluating, waiting, stopped, preempted, failed, done. `reason` says what it
    waits for, or why it ended. Unix seconds, 0 where there is none: `time` of the heartbeat, `since` of the state's
    begin, `advanced` of the step's last change. `starts`: processes of the service so far; `failures`: those that said
    why they failed, which one that is killed does not. `code`: the exit code with which it failed for good.
    """

    service: str
    state: str = NOT_STARTED
    step: int = 0
    of: int = 0
    reason: str = ""
    time: float = 0.0
    since: float = 0.0
    advanced: float = 0.0
    starts: int = 0
    failures: int = 0
    code: int = 0

    @classmethod
    def read(cls, run: Run, service: str) -> "Heartbeat":
        """The heartbeat of `service`; one that is missing or damaged is that of a service that has not started."""
        found = read_object(run.status(service), HEARTBEAT)
        if not found:
            return cls(service=service)
        return cls(
            service=service,
            state=found["state"],
            step=found.get("step", 0),
            of=found.get("of", 0),
            reason=found.get("reason", ""),
            time=found["time"],
            since=found.get("since") or found["time"],
            advanced=found.get("advanced") or found["time"],
            starts=found.get("starts", 0),
            failures=found.get("failures", 0),
            code=found.get("code", 0),
        )

    @property
    def has_started(self) -> bool:
        return self.time > 0

    @property
    def _must_advance(self) -> bool:
        """While it trains, a heartbeat is not enough: the step must move. A step that is still built can't."""
        return self.state == "training" and not self.reason

    def _quiet_seconds(self, now: float) -> float:
        return max(now - (self.advanced if self._must_advance else self.time), 0.0)

    def is_healthy(self, now: float) -> bool:
        """Whether the service makes progress at Unix time `now`, or is done."""
        building = self.state == "training" and self.reason
        allowed = HEALTHY_SECONDS.get("starting" if building else self.state, -1.0)
        return self.state == "done" or self._quiet_seconds(now) <= allowed

    def is_silent(self, now: float) -> bool:
        """Whether the service has not written for long, ended or not."""
        return self.has_started and now - self.time > SILENT_SECONDS

    def is_stalled(self, now: float) -> bool:
        """Whether the service has not ended, and should have written since."""
        return self.state not in ENDED and self.is_silent(now)

    def has_failed_for_good(self, now: float, since: float = 0.0) -> bool:
        """Whether the service ended with an error and is not started again.

        `since`: Unix seconds; one that had failed before may be about to start.
        """
        is_told = self.code > 0 and self.time >= since
        return self.state == "failed" and (is_told or now - max(self.time, since) > FAILED_FOR_GOOD_SECONDS)

    def describe(self, now: float) -> str:
        """The state as a person reads it: `waiting: for the checkpoint of step 200 (12 s)`."""
        if self.is_stalled(now):
            return f"stalled: {self.state}, no heartbeat for {format_time(now - self.time)}"
        text = f"{self.state}: {self.reason}" if self.reason else self.state
        return f"{text} ({format_time(now - self.since)})" if self.state == "waiting" and self.since else text

    def describe_progress(self, now: float) -> str:
        """Where the service is and when it last made progress: `training at step 40, the step moved 3 s ago`."""
        if not self.has_started:
            return "has not started"
        where = f"{self.state} at step {self.step}" + (f" ({self.reason})" if self.reason else "")
        if self.state in ENDED:
            return where
        sign = "the step moved" if self._must_advance else "last heartbeat"
        return f"{where}, {sign} {self._quiet_seconds(now):.0f} s ago"


def write_heartbeat(
    run: Run,
    service: str,
    *,
    state: str,
    step: int,
    of: int,
    reason: str = "",
    is_start: bool = False,
    code: int = 0,
    clock: Callable[[], float] = time.time,
) -> None:
    """Writes the heartbeat of `service`, which began its state and changed its step when the one before says so.

    `is_start`: it is the first of its process. `code`: it failed with that exit code, for good.
    """
    now, previous = clock(), Heartbeat.read(run, service)
    beat = Heartbeat(
        service=service,
        state=state,
        step=step,
        of=of,
        reason=reason,
        time=now,
        since=previous.since if (previous.state, previous.reason) == (state, reason) else now,
        advanced=previous.advanced if previous.has_started and previous.step == step else now,
        starts=previous.starts + is_start,
        failures=previous.failures + (state == "failed" != previous.state),
        code=code,
    )
    value = {**asdict(beat), "pid": os.getpid()}
    try:
        write_json(run.status(service), value)
    except OSError as error:
        if state not in ENDED or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        overwrite_json(run.status(service), value)  # Who waits for it must hear of its end, and why, also of this one.


def first_line(error: BaseException) -> str:
    """The first line of an error's message, its class for want of one; 300 characters at most, as a heartbeat takes."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
