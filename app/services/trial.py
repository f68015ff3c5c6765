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


def free_memory() -> int:
    """Bytes that a trial may take on this machine now."""
    return int(SHARE * min(memory.host_memory(), psutil.virtual_memory().available))


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
        refusal = _refusal(run, config, report.stage, report.failure)
        if not (skips_records and isinstance(refusal, DatasetError)):
            raise refusal
        log.warning("trial | %s", refusal)
        return
    seconds = time.monotonic() - started
    if given_up:
        log.warning("%s", given_up)
    else:
        log.info("trial | passed in %.0f s", seconds)
    write_json(run.trial, {"key": key, "given_up": given_up, "seconds": limits.seconds, "bytes": limits.bytes})


def run_trial(config: PipelineConfig, limits: Limits, log_file: Path, plan: StepPlan) -> tuple[TrialReport | None, str]:
    """What the trial reported, and in one line why it was given up; empty where it came to its end."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="detbox-trial-") as folder, open(log_file, "wb") as output:
        path, reported = Path(folder) / PIPELINE_CONFIG, Path(folder) / "report.json"
        path.write_text(pipeline_config.print_pipeline(config), encoding="utf-8")
        environ = import_path(os.environ) | {"CUDA_VISIBLE_DEVICES": "-1", "TMPDIR": folder}
        # In a process group of its own: the end of the terminal, which `up` outlives, would end it.
        child = subprocess.Popen(
            [*COMMAND, str(path), str(reported), json.dumps(asdict(plan))],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=environ, process_group=0, preexec_fn=end_with_parent(),
        )  # fmt: skip
        try:
            exceeded = _wait(child, limits)
        finally:
            child.kill()
            child.wait()
        report = read_report(reported)
    short = bool(report and report.failure and report.failure.message.startswith(OUT_OF_MEMORY))
    if report and report.ended and not exceeded and not short:
        return report, ""
    stage = report.stage if report else "starting"
    how = "ran out of memory" if short else exceeded or _describe_exit(child.returncode)
    return None, f"the pipeline.config could not be tried before training: {stage} {how} -> {_remedy(how, log_file)}"


def _wait(child: subprocess.Popen[bytes], limits: Limits) -> str:
    """Waits for the child's end; if it takes more than `limits`, returns what of."""
    deadline = time.monotonic() + limits.seconds
    while child.poll() is None:
        if time.monotonic() > deadline:
            return f"took more than {limits.seconds:.0f} s"
        if _resident(child.pid) > limits.bytes:
            return f"took more than the {limits.bytes / 1e9:.1f} GB of memory that are free"
        time.sleep(LOOK_SECONDS)
    return ""


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _describe_exit(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, as the system does when memory runs out"
    return f"ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def _remedy(how: str, log_file: Path) -> str:
    if "memory" in how:
        return f"training may not fit here either: a smaller {flag('image_size')}, or another {flag('model')}"
    return f"give it more time, or 0 to leave it out: {flag('trial_secs')}" if "took" in how else f"see {log_file}"


def _refusal(run: Run, config: PipelineConfig, stage: Stage, failure: Failure) -> SettingsError | DatasetError:
    """What the user is told of a failure."""
    traceback = f"traceback in {run.log('trial')}"
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
