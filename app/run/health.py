"""Whether a service of a run makes progress, as read from its heartbeat: for a container's healthcheck."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.run.directory import Run
from app.run.files import read_json

PATIENCE: Mapping[str, float] = {
    "starting": 1200.0,
    "training": 300.0,
    "saving": 300.0,
    "evaluating": 3600.0,
    "waiting": 120.0,
}
"""Seconds that a service may be in a state without a sign of progress.

Loading TensorFlow and compiling the step takes minutes on a GPU that TensorFlow has no kernels for; a large
evaluation set takes the better part of an hour, during which the evaluator says nothing.
"""


@dataclass(frozen=True)
class Health:
    """The verdict on a service. Its exit code is a healthcheck's: 0 healthy, 1 not."""

    service: str
    healthy: bool
    text: str

    @property
    def exit_code(self) -> int:
        return 0 if self.healthy else 1

    def __str__(self) -> str:
        return f"{self.service}: {self.text}"


def look(run: Run, service: str) -> Health:
    """The health of `service` now."""
    return health_of(service, read_json(run.status(service)), time.time())


def health_of(service: str, beat: Mapping[str, Any] | None, now: float) -> Health:
    """The health of a service whose heartbeat file holds `beat`, at Unix time `now`."""
    if beat is None:
        return Health(service, False, "has not started")
    state, reason = beat.get("state", ""), beat.get("reason", "")
    said = f"{state} at step {beat.get('step', 0)}" + (f" ({reason})" if reason else "")
    if state == "done":
        return Health(service, True, said)
    if state not in PATIENCE:
        return Health(service, False, said)
    # While it trains, a heartbeat is not enough: the step must move. A step that is still built can't.
    moving = state == "training" and not reason
    quiet = max(now - beat.get("advanced" if moving else "time", now), 0.0)
    patience = PATIENCE["starting"] if state == "training" and reason else PATIENCE[state]
    since = f"{'the step moved' if moving else 'last heard of'} {quiet:.0f} s ago"
    return Health(service, quiet <= patience, f"{said}, {since}")
