"""Stand-ins for the services: programs of a few lines that keep the run directory's contract."""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from app.run import sign_of_life
from app.run.directory import Run
from app.services.service import Service
from app.services.silence import Silence

HEAD = """
import os, signal, sys, time
from pathlib import Path
from app.run.directory import Run
from app.run.files import append_line, write_json, write_text
from app.run.heartbeat import write_heartbeat
run = Run(Path(sys.argv[1]))
"""

TRAINER = (
    HEAD
    + """
steps, pause = int(sys.argv[2]), float(sys.argv[3])
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(signal.SIGTERM))
signal.signal(signal.SIGINT, lambda *_: stop.append(signal.SIGINT))
if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: stop.append(signal.SIGHUP))
def save(step):
    write_text(run.root / f"ckpt-{step}.index", "")
for step in range(1, steps + 1):
    write_heartbeat(run, "trainer", state="training", step=step, of=steps)
    append_line(run.metrics, {"step": step, "time": time.time(), "loss": 1 / step, "learning_rate": 0.02,
                                   "steps_per_sec": 1 / pause})
    write_text(run.train_events / "events", "x" * 1000 * step)
    time.sleep(pause)
    if stop:
        save(step)
        print(f"detbox: stopped: step {step} is saved", flush=True)
        sys.exit(128 + stop[0])
save(steps)
write_json(run.done, {"step": steps, "reason": "completed"})
write_heartbeat(run, "trainer", state="done", step=steps, of=steps)
"""
)

EVALUATOR = (
    HEAD
    + """
while not run.checkpoint_steps():
    write_heartbeat(run, "evaluator", state="waiting", step=0, of=0, reason="for the first checkpoint")
    time.sleep(0.05)
step = run.checkpoint_steps()[-1]
append_line(run.evaluations, {"step": step, "metrics": {"DetectionBoxes_Precision/mAP": 0.31}})
run.detections.mkdir(exist_ok=True)
(run.detections / "1.jpg").touch()
write_heartbeat(run, "evaluator", state="done", step=step, of=step)
"""
)

LIVING = (
    HEAD
    + """
from app.run import sign_of_life
from app.run.lock import hold_service
sign_of_life.EVERY_SECONDS = 0.05
with hold_service(run, "trainer"):
    sign_of_life.give(run, "trainer")
    def work():
        with open(run.root / "pids", "a") as file:
            print(os.getpid(), file=file, flush=True)
        if len((run.root / "pids").read_text().split()) < int(sys.argv[2]):
            time.sleep(60)
    work()
"""
)
"""Ends by itself at its start of that number; until then it lives for a minute."""

CRASH = (
    HEAD
    + """
write_heartbeat(run, "trainer", state="failed", step=3, of=9, reason="loss is not finite")
print("a line before", flush=True)
print("detbox: error: loss is not finite at step 3", file=sys.stderr)
sys.exit(6)
"""
)

SLOW_TO_STOP = (
    HEAD
    + """
from app.run.lock import hold_service
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
with hold_service(run, "trainer"):
    step = 0
    while not stop:
        step += 1
        write_heartbeat(run, "trainer", state="training", step=step, of=9999)
        time.sleep(0.02)
    time.sleep(3)
    write_text(run.root / f"ckpt-{step}.index", "")
"""
)

STUBBORN_START = (
    HEAD
    + """
write_heartbeat(run, "trainer", state="starting", step=0, of=9, reason="loading TensorFlow")
time.sleep(60)
"""
)

STUBBORN = (
    HEAD
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
(run.root / "stubborn.pid").write_text(str(os.getpid()))
time.sleep(60)
"""
)

FOREVER = (
    HEAD
    + """
import subprocess
(run.root / f"forever-{os.path.basename(sys.argv[2])}.pid").write_text(str(os.getpid()))
time.sleep(60)
"""
)


def service(
    run: Run, name: str, program: str, *arguments: object, essential: bool = True, silent_secs: float = 0
) -> Service:
    """A service that runs `program` with the run's directory and `arguments`; `silent_secs` as the trio's."""
    argv = [sys.executable, "-c", program, str(run.root), *map(str, arguments)]
    environ = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"}
    silence = Silence(partial(sign_of_life.last, run, name), silent_secs)
    return Service(name, argv, environ, run.log(name), essential, silence)


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    """Waits until `condition` holds; fails the test if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)
