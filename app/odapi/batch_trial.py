"""Training steps of a pipeline.config with the largest images there can be, in a process of its own.

`python -m app.odapi.batch_trial PIPELINE_CONFIG REQUEST REPORT` trains as `train` does, saves nothing, and writes what
it is at, what steps took, and in the end what failed, to REPORT.
"""

import contextlib
import re
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from app.errors import DatasetError, DivergedError
from app.machine import memory
from app.machine.out_of_memory import describe, is_out_of_memory
from app.pipeline import readers
from app.pipeline.batch_report import BatchReport, write_batch_report
from app.pipeline.step_plan import StepPlan
from app.protos import pipeline_config
from app.run.files import read_object
from app.run.heartbeat import first_line
from app.settings import Settings
from app.write_schedule import WriteSchedule, write_schedule

STEPS = 4
"""The first compiles, the second has all of the optimizer's memory, the fastest of the others is the speed."""
LEAST_STEPS = 2
ENOUGH_SECONDS = 20.0
"""Of measured steps, after which there are no more than `LEAST_STEPS`."""


class Attempt:
    """The hook of `train_loop`: some steps, each reported, and nothing saved."""

    def __init__(self, report: Path, device: "Device"):
        self._path, self._device = report, device
        self.report = BatchReport("starting", device=device.kind, limit_bytes=device.limit)
        self.schedule: WriteSchedule = write_schedule(Settings(), 10**6)
        self._began = 0.0

    def say(self, doing: str, **changes: Any) -> None:
        """Reports what it is at, with the memory that was taken so far."""
        self.report = replace(self.report, doing=doing, peak_bytes=self._device.peak(), **changes)
        write_batch_report(self._path, self.report)

    def diverged(self, what: str) -> DivergedError:
        return DivergedError(what)

    def resume_from(self, model_dir: str) -> str | None:
        return None

    def begin(self, loop: Any) -> None:
        self._next(loop)

    def steps_to_run(self, loop: Any) -> int:
        measured = self.report.seconds[1:]
        enough = len(measured) >= LEAST_STEPS - 1 and sum(measured) > ENOUGH_SECONDS
        self._began = time.monotonic()
        return 0 if loop.step >= STEPS or enough else 1

    def after_steps(self, loop: Any) -> None:
        loop.losses()  # Waits for the device.
        self.report = replace(self.report, seconds=(*self.report.seconds, time.monotonic() - self._began))
        self._next(loop)

    def end(self, loop: Any) -> None: ...
    def call_failed(self) -> None: ...
    def save_rest(self) -> None: ...

    def _next(self, loop: Any) -> None:
        self.say(f"step {loop.step + 1} of {STEPS}")


class Device:
    """What the steps run on, and its memory in bytes: of the fullest GPU, or of this process."""

    def __init__(self, tf: Any):
        self._tf = tf
        self._gpus = [gpu.name.partition("device:")[2] for gpu in tf.config.list_logical_devices("GPU")]
        self.kind = "GPU" if self._gpus else "host"

    @property
    def limit(self) -> int:
        """Bytes that TensorFlow may take of a GPU; 0 for the host."""
        if not self._gpus:
            return 0
        from tensorflow.python.client import device_lib

        found = device_lib.list_local_devices()
        return min((device.memory_limit for device in found if device.device_type == "GPU"), default=0)

    def peak(self) -> int:
        if self._gpus:
            return max(self._tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in self._gpus)
        return peak_of_process()


def peak_of_process() -> int:
    """The most memory of its own that this process has had, in bytes: without files that are mapped, as libraries are.

    `ru_maxrss` is no less than its parent's.
    """
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:  # No Linux.
        return int(psutil.Process().memory_info().rss)
    held = {name: int(size) << 10 for name, size in re.findall(r"^(VmHWM|RssFile):\s+(\d+) kB", text, re.MULTILINE)}
    return held["VmHWM"] - held.get("RssFile", 0)


def main(arguments: Sequence[str]) -> None:
    """Tries the config; whatever ends it is in the report, unless memory ended the process itself."""
    path, request_path, report = map(Path, arguments)
    request = read_object(request_path)
    with contextlib.suppress(OSError):  # If the kernel has to end a process for memory, it is this one.
        Path("/proc/self/oom_score_adj").write_text("1000")
    memory.lower_process_limits(request["share"])
    attempt: Attempt | None = None
    try:
        from app.odapi import runtime

        tf = runtime.start(use_gpu=True, seed=0)
        runtime.configure(tf, deterministic=request["deterministic"], seed=0)
        attempt = Attempt(report, Device(tf))
        attempt.say("building the model")
        _train(path, attempt, runtime.strategy(tf), request["boxes"], StepPlan(**request["plan"]))
        attempt.say("the end", ended=True)
    except Exception as error:
        traceback.print_exc()
        before = attempt.report if attempt else BatchReport("loading TensorFlow")
        short = is_out_of_memory(error)
        failure = describe(error) if short else f"{type(error).__name__}: {first_line(error)}"
        failed = replace(
            before, ended=True, failure=failure, out_of_memory=short, of_records=isinstance(error, DatasetError)
        )
        write_batch_report(report, failed)


def _train(path: Path, attempt: Attempt, strategy: Any, boxes: int, plan: StepPlan) -> None:
    from app.odapi import train_loop
    from app.odapi.largest_images import LargestImages

    config = pipeline_config.read_pipeline(path)
    records = readers.find_records(config.train_input_reader)
    train_loop.train(path, path.parent / "model", attempt, strategy, records, LargestImages(config, boxes), plan)


if __name__ == "__main__":
    main(sys.argv[1:])
