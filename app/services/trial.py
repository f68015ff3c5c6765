"""The trial of a pipeline.config before training: one batch of each kind, in a process with bounds."""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from app.dataset import integrity
from app.errors import DatasetError, SettingsError
from app.machine import memory, odapi_build
from app.pipeline.step_plan import PLAIN, StepPlan
from app.pipeline.trial_report import Failure, Stage, TrialReport, read_report
from app.protos import fields, pipeline_config
from app.protos.pipeline_config import PipelineConfig
from app.run import provenance
from app.run.directory import PIPELINE_CONFIG, Run
from app.run.files import read_object, write_json
from app.run.lenient_json import Schema, number, text
from app.services.service import end_with_parent, import_path
from app.settings import flag

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "app.odapi.one_batch")
"""Given a pipeline.config, a file to report to and the plan of a step as JSON."""
SHARE = 0.8
"""Of the memory that is free, what the trial may take."""
LOOK_SECONDS = 0.1
TRIAL = Schema(
    {"key": text, "given_up": text, "seconds": number, "bytes": number}, required=("key", "seconds", "bytes")
)
DAMAGED = "DataLossError"
"""TensorFlow's error for a record that does not match its checksum."""
OUT_OF_MEMORY = ("MemoryError", "ResourceExhaustedError")
PLACES = {
    Stage.MODEL: "model",
    Stage.OPTIMIZER: "train_config.optimizer",
    Stage.TRAINING_INPUT: "train_input_reader",
    Stage.TRAINING: "model",
    Stage.EVALUATION_INPUT: "eval_input_reader",
    Stage.EVALUATION: "eval_config",
}
"""The part of a pipeline.config that a stage is about, where its error does not name a field."""


@dataclass(frozen=True)
class Limits:
    """What a trial may take: seconds, and bytes of memory."""

    seconds: float
    bytes: int

    @property
    def late(self) -> str:
        """What is said where the seconds were exceeded."""
        return f"took more than {self.seconds:.0f} s"


def free_memory() -> int:
    """Bytes that a trial may take on this machine now."""
    return int(SHARE * memory.free_memory())


def try_pipeline(
    run: Run,
    config: PipelineConfig,
    fingerprint: str,
    limits: Limits,
    plan: StepPlan = PLAIN,
    *,
    skips_records: bool = False,
) -> None:
    """Tries `config` on the run's records by steps as in `plan`, unless that was done: all the same, and the versions.

    SettingsError, or DatasetError where the records are to blame, for a config that can't be trained or evaluated. A
    trial that takes more than `limits` is given up with a warning; so are records where training `skips_records`.
    """
    key = _key(config, fingerprint, plan)
    known = read_object(run.trial, TRIAL)
    if known.get("key") == key and _holds(known, limits):
        if "given_up" in known:
            log.warning("%s", known["given_up"])
        return
    log.info("trial | a training batch and an evaluation batch of this pipeline.config, on the CPU")
    started = time.monotonic()
    report, given_up = run_trial(config, limits, run.log("trial"), plan)
    if report and report.failure:
        refused = refusal(run, config, report.stage, report.failure)
        if not (skips_records and isinstance(refused, DatasetError)):
            raise refused
        log.warning("trial | %s", refused)
        return
    seconds = time.monotonic() - started
    if given_up:
        log.warning("%s", given_up)
    else:
        log.info("trial | passed in %.0f s", seconds)
    write_json(run.trial, {"key": key, "given_up": given_up, "seconds": limits.seconds, "bytes": limits.bytes})


def run_trial(config: PipelineConfig, limits: Limits, log_file: Path, plan: StepPlan) -> tuple[TrialReport | None, str]:
    """What the trial reported, and in one line why it was given up; empty where it came to its end."""
    log_file.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="detbox-trial-") as folder:
        path, reported = Path(folder) / PIPELINE_CONFIG, Path(folder) / "report.json"
        path.write_text(pipeline_config.print_pipeline(config), encoding="utf-8")
        environ = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TMPDIR": folder}
        argv = [*COMMAND, str(path), str(reported), json.dumps(asdict(plan))]
        code, exceeded = run_child(argv, environ, limits, log_file)
        report = read_report(reported)
    short = bool(report and report.failure and report.failure.message.startswith(OUT_OF_MEMORY))
    if report and report.ended and not exceeded and not short:
        return report, ""
    stage = report.stage if report else "starting"
    how = "ran out of memory" if short else exceeded or describe_exit(code)
    return None, f"the pipeline.config could not be tried before training: {stage} {how} -> {_remedy(how, log_file)}"


def run_child(
    argv: Sequence[str],
    environ: Mapping[str, str],
    limits: Limits,
    log_file: Path,
    tick: Callable[[], None] = lambda: None,
) -> tuple[int, str]:
    """Runs `argv` to its end, at most to its `limits`: its exit code, and what it exceeded; empty for nothing.

    What it writes is added to `log_file`. `tick` is called while it runs. Nothing of it is left when this returns or
    raises.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with open(log_file, "ab") as output:
        # In a process group of its own: the end of the terminal, which `up` outlives, would end it.
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=import_path(environ), process_group=0, preexec_fn=end_with_parent(),
        )  # fmt: skip
        try:
            exceeded = _wait(child, limits, tick)
        finally:
            child.kill()
            child.wait()
    return child.returncode, exceeded


def _wait(child: subprocess.Popen[bytes], limits: Limits, tick: Callable[[], None]) -> str:
    """Waits for the child's end; if it takes more than `limits`, returns what of."""
    deadline = time.monotonic() + limits.seconds
    while child.poll() is None:
        if time.monotonic() > deadline:
            return limits.late
        if _resident(child.pid) > limits.bytes:
            return f"took more than the {limits.bytes / 1e9:.1f} GB of memory that are free"
        tick()
        time.sleep(LOOK_SECONDS)
    return ""


def _resident(pid: int) -> int:
    """Bytes of memory of its own: files that it maps, as libraries are, can be read again."""
    try:
        held = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(held.rss - getattr(held, "shared", 0))


def describe_exit(code: int) -> str:
    """How a process ended that reported no end."""
    if code == -signal.SIGKILL:
        return "was killed, as the system does when memory runs out"
    return f"ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def _remedy(how: str, log_file: Path) -> str:
    if "memory" in how:
        return f"training may not fit here either: a smaller {flag('image_size')}, or another {flag('model')}"
    return f"give it more time, or 0 to leave it out: {flag('trial_secs')}" if "took" in how else f"see {log_file}"


def refusal(
    run: Run, config: PipelineConfig, stage: Stage, failure: Failure, *, log_name: str = "trial"
) -> SettingsError | DatasetError:
    """What the user is told of a failure, whose traceback is in the log of that name."""
    traceback = f"traceback in {run.log(log_name)}"
    if failure.of_records or DAMAGED in failure.message:
        readers = (config.train_input_reader, *config.eval_input_reader)
        if damage := integrity.find_damage([p for r in readers for p in r.tf_record_input_reader.input_path], None):
            return damage
        remedy = f"make them again: remove them, then detbox prepare; {traceback}"
        return DatasetError(f"the records can't be read: {failure.message}", where=str(run.records), remedy=remedy)
    where = failure.where or fields.find_named(config, failure.message) or PLACES[stage]
    ways = [flag("model"), flag("config_override")]
    if "image size" in failure.message:
        ways.insert(0, flag("image_size"))
    remedy = f"another value in the pipeline.config: {' or '.join(ways)}; {traceback}"
    return SettingsError(f"the OD API stops at {stage}: {failure.message}", where=where, remedy=remedy)


def _key(config: PipelineConfig, fingerprint: str, plan: StepPlan) -> str:
    """Stands for all that the outcome depends on."""
    versions = [provenance.package_version(name) for name in ("detbox", "tensorflow", "tf-keras")]
    step = asdict(replace(plan, why=""))
    made_of = [pipeline_config.print_pipeline(config), fingerprint, versions, odapi_build.record(), step]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _holds(known: dict[str, Any], limits: Limits) -> bool:
    """Whether a trial now would come to no other end: one that was given up has no more time or memory."""
    return "given_up" not in known or (known["seconds"] >= limits.seconds and known["bytes"] >= 0.9 * limits.bytes)
