"""What a run says of itself when the cloud takes its machine."""

import logging
from collections.abc import Iterable

from app.errors import Preempted
from app.run import lock
from app.run.directory import Run
from app.run.heartbeat import Heartbeat, write_heartbeat

logger = logging.getLogger(__name__)


def record_preemption(run: Run, services: Iterable[str], error: Preempted) -> Preempted:
    """Writes it into the heartbeats of `services`, which have ended; the error to raise, with the saved step."""
    saved = run.checkpoint_steps()
    for name in services:
        beat = Heartbeat.read(run, name)
        if not run.root.is_dir() or beat.state == "done" or lock.is_held(run.service_lock(name)):
            continue
        step = saved[-1] if saved and name == "trainer" else beat.step
        reason = error.what.removeprefix("preempted: ")
        try:
            write_heartbeat(run, name, state="preempted", step=step, of=beat.of, reason=reason)
        except OSError as disk:
            logger.warning("%s | the run can't be told of it: %s", name, disk)
    where = f"step {saved[-1]} is saved" if saved else "no step is saved yet"
    return Preempted(f"{error.what}: {where} in {run.root}", remedy="the same command goes on from there")
