"""How training ended, and the request that it end: `DONE` and `status/stop.json`."""

import time
from typing import Any

from app.run.directory import Run
from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, count, moment, text

DONE = Schema({"step": count, "of": count, "reason": text, "time": moment}, required=("step",))
REQUEST = Schema({"reason": text, "step": count, "time": moment})


def read_done(run: Run) -> dict[str, Any] | None:
    """What DONE says: `step`, and mostly `of`, `reason`, `time`. None while training has not ended."""
    return read_object(run.done, DONE) or None


def write_done(run: Run, *, step: int, of: int, reason: str) -> None:
    """Says that training ended at `step` of `of`."""
    write_json(run.done, {"step": step, "of": of, "reason": reason, "time": time.time()})


def finished_training(run: Run, steps: int) -> dict[str, Any] | None:
    """What DONE says, if training the run to `steps` has ended."""
    done = read_done(run)
    return done if done and (done["step"] >= steps or done.get("of") == steps) else None


def read_stop_request(run: Run) -> str | None:
    """The reason for which training is asked to end, or None."""
    request = read_object(run.stop_request, REQUEST)
    return str(request.get("reason", "asked to stop")) if request else None


def request_stop(run: Run, step: int, reason: str) -> None:
    """Asks the trainer, wherever it runs, to save and end."""
    write_json(run.stop_request, {"reason": reason, "step": step, "time": time.time()})
