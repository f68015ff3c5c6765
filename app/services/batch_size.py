"""The batch that this machine trains best, found by training steps in processes with bounds, and kept by the run."""

import bisect
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app import progress
from app.environment import COMPOSE
from app.errors import DetboxError, OutOfMemoryError
from app.humanize import format_bytes, format_count
from app.machine import gpus, memory, out_of_memory
from app.pipeline import batch_search, batch_size_record, footprint
from app.pipeline.batch_report import BatchReport, read_batch_report
from app.pipeline.batch_search import Try
from app.pipeline.batch_size_record import BatchSize
from app.pipeline.step_plan import StepPlan
from app.pipeline.trial_report import Failure, Stage
from app.protos import pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.run import provenance
from app.run.directory import PIPELINE_CONFIG, Run
from app.run.files import write_json
from app.services import trial
from app.settings import flag

log = logging.getLogger(__name__)

COMMAND = (trial.COMMAND[0], "-m", "app.odapi.batch_trial")
"""Given a pipeline.config, what is asked of it, and a file to report to."""
SHARE = 0.9
"""Of the memory that is there, what a batch may take: the allocator's gaps differ from step to step."""
OF_LENGTH = re.compile(r"\bdecay: \S+")
"""What of a model follows the length of the run: batch norm's."""
OF_CLUSTER = ("TF_CONFIG",)
"""Variables without which a process trains alone."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a batch is searched for. `make`: the pipeline.config of a batch size, and the plan of its steps.

    `images`: of the training set. `boxes`: on the fullest. `seconds`: for each try. `update`: the images of an update
    that is made of several passes, 0: of one. `workers`: processes that will train together. `fingerprint`: of the
    records.
    """

    make: Callable[[int], tuple[PipelineConfig, StepPlan]]
    images: int
    boxes: int
    seconds: float
    update: int = 0
    deterministic: bool = False
    workers: int = 1
    fingerprint: str = ""


def resolve(run: Run, asked: Asked, *, least_gain: float | None = batch_search.LEAST_GAIN) -> int:
    """The batch of the run: the one it has chosen before, else one that is searched for now and recorded.

    Another model, other records or another machine are searched for anew, but not once the run has a checkpoint.
    Raises OutOfMemoryError where none fits, SettingsError where that takes too long or none can be trained at all, for
    records DatasetError.
    """
    there, replicas, machine = _look_at_machine()
    key = _key(asked)
    known = batch_size_record.read(run)
    if known and (run.checkpoint_steps() or (known.key, known.machine) == (key, machine)):
        log.info("batch size | %s", known)
        return known.batch_size
    sizes = _sizes(asked, replicas * asked.workers)
    log.info("batch size | looking for the one that %s trains best, %d images at most", machine, sizes[-1])
    with progress.live("batch size") as show:
        attempts = Attempts(run, asked, there, show)
        if there.of == "GPU":
            found = batch_search.search(
                attempts, sizes, start=_estimate(asked, sizes, there, replicas), least_gain=None
            )
        else:
            found = batch_search.search(attempts, sizes, least_gain=least_gain)
    chosen = BatchSize(found.images, found.why, attempts.bound, machine, key, found.tries)
    batch_size_record.write(run, chosen)
    for line in (str(chosen), *chosen.table()):
        log.info("batch size | %s", line)
    return chosen.batch_size


def is_open(run: Run) -> bool:
    """Whether nothing was trained yet, and no batch was found on this very machine."""
    known = batch_size_record.read(run)
    return not run.checkpoint_steps() and (known is None or known.machine != _look_at_machine()[2])


def _look_at_machine() -> tuple[memory.Memory, int, str]:
    """The memory for training, the number of devices, and both in words: `a host with 24 GB`, `2 GPUs with 23 GB`."""
    there, replicas = memory.training_memory(), max(len(gpus.visible(gpus.read_gpus(), os.environ)), 1)
    what = f"a {there.of}" if replicas == 1 else format_count(replicas, there.of)
    return there, replicas, f"{what} with {format_bytes(there.size)}"


def as_out_of_memory(run: Run, error: BaseException) -> OutOfMemoryError | None:
    """The error of a trainer that `error` has ended for want of memory, with the batch to try; else None."""
    if not out_of_memory.is_out_of_memory(error):
        return None
    return OutOfMemoryError(
        f"out of memory: {out_of_memory.describe(error)}", where=str(run.root), remedy=smaller_batch(run)
    )


def smaller_batch(run: Run) -> str:
    """The remedy where training ran out of memory: the largest batch that was tried and fits, else half of it."""
    try:
        update = pipeline_config.read_pipeline(run.pipeline_config).train_config.batch_size
    except DetboxError:
        return f"a smaller {flag('batch_size')}"
    known, given = batch_size_record.read(run), (provenance.read_given(run) or {}).get("batch_size", "")
    images = known.batch_size if known and given == "auto" else int(given) if given.isdecimal() else 0
    images = images if 0 < images <= update else update
    if images <= 1:
        return f"smaller images, or a smaller model: {flag('image_size')}, or {flag('model')}"
    fitting = [one.images for one in known.tries if one.fits and one.images < images] if known else []
    less = max(fitting, default=max(images // 2, 1))
    same = f", with {flag('effective_batch_size', str(update))} to learn as before" if update % less == 0 else ""
    return f"{flag('batch_size', str(less))}{same}"


class Attempts:
    """Tries one batch after the other, each in a process of its own. `bound`: what they are held to, in words."""

    def __init__(self, run: Run, asked: Asked, there: memory.Memory, show: Callable[[str], None]):
        self._run, self._asked, self._there, self._show = run, asked, there, show
        self._free = memory.free_memory()
        run.log("batch_size").unlink(missing_ok=True)
        # Where compose.yaml limits the trainer's memory, the evaluator has another container's.
        self._is_alone = COMPOSE in os.environ and memory.host_memory() < memory.system_memory()[0]
        self._evaluator = 0
        self.bound = ""

    def __call__(self, images: int) -> Try:
        asked = self._asked
        config, plan = asked.make(images)
        config.train_config.batch_size //= asked.workers
        limits = trial.Limits(asked.seconds, int(SHARE * self._free) - self._evaluator)
        with tempfile.TemporaryDirectory(prefix="detbox-batch-") as folder:
            path, request, reported = (Path(folder) / name for name in (PIPELINE_CONFIG, "request.json", "report.json"))
            path.write_text(pipeline_config.print_pipeline(config), encoding="utf-8")
            how = {"boxes": asked.boxes, "plan": asdict(plan), "deterministic": asked.deterministic, "share": SHARE}
            write_json(request, how)
            environ = {key: value for key, value in os.environ.items() if key not in OF_CLUSTER} | {"TMPDIR": folder}
            argv = [*COMMAND, str(path), str(request), str(reported)]

            def tick() -> None:
                at = read_batch_report(reported)
                self._show(f"{format_count(images, 'image')} a step: {at.doing if at else 'loading TensorFlow'}")

            code, exceeded = trial.run_child(argv, environ, limits, self._run.log("batch_size"), tick)
            report = read_batch_report(reported) or BatchReport("starting")
        if report.failure and not report.out_of_memory:
            failure = Failure(report.failure, of_records=report.of_records)
            raise trial.refusal(self._run, config, Stage.TRAINING, failure, log_name="batch_size")
        return self._judge(images, report, limits, code, exceeded)

    def _judge(self, images: int, report: BatchReport, limits: trial.Limits, code: int, exceeded: str) -> Try:
        """What a process that has ended says of its batch."""
        limit, on_gpu = limits.bytes, report.device == "GPU"
        if on_gpu:
            limit = int(SHARE * (report.limit_bytes or self._there.size))
        self.bound = f"{format_bytes(limit)} of {report.device} memory"
        for name, size in memory.process_limits().items():
            self.bound += f", {format_bytes(SHARE * size)} by {name}"
        why = _fault(report, code, exceeded)
        if not why and report.peak_bytes > limit:
            why = f"take {format_bytes(report.peak_bytes)}, more than {self.bound}"
        measured = report.seconds[1:]
        speed = (self._asked.update or images) / min(measured) if measured else 0.0
        if not on_gpu and not self._is_alone and not self._evaluator:
            # It runs beside the trainer, and takes about as much as training on few images.
            self._evaluator = report.peak_bytes
        return Try(images, not why, report.peak_bytes, speed, why, is_late=exceeded == limits.late)


def _fault(report: BatchReport, code: int, exceeded: str) -> str:
    if exceeded:
        return exceeded
    if report.failure:
        return f"run out of memory ({report.failure})"
    return "" if report.ended else f"end without a word: the process {trial.describe_exit(code)}"


def _estimate(asked: Asked, sizes: Sequence[int], there: memory.Memory, replicas: int) -> int:
    """A size that surely fits into the GPUs, to save the tries below it; the smallest for a model that is not known."""
    config, _ = asked.make(sizes[0])

    def half_full(size: int) -> bool:
        each = -(-size // (replicas * asked.workers))
        return (footprint.memory_bytes(config, each) or (0, there.size))[1] > there.size // 2

    return sizes[max(bisect.bisect_left(sizes, True, key=half_full) - 1, 0)]


def _sizes(asked: Asked, unit: int) -> Sequence[int]:
    """Images of a pass, ascending: multiples of `unit`, no more than there are; divisors of an update of several."""
    if asked.update:
        return [size for size in range(unit, asked.update + 1, unit) if asked.update % size == 0] or [unit]
    return range(unit, max(asked.images, unit) + 1, unit)


def _key(asked: Asked) -> str:
    """Stands for what decides how much memory a batch takes; not for paths, lengths and rates."""
    config, plan = asked.make(asked.update or 1)
    train = config.train_config
    for name in ("num_steps", "fine_tune_checkpoint", "batch_size"):
        train.ClearField(name)
    kind = train.optimizer.WhichOneof("optimizer")
    if kind:
        getattr(train.optimizer, kind).ClearField("learning_rate")
    model = OF_LENGTH.sub("", str(config.model))
    parts = [model, str(train), asked.fingerprint, asked.boxes, asked.workers]
    parts += [asdict(replace(plan, why="")), asked.deterministic, asked.update]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
