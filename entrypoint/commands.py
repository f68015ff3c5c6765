"""The table of commands: what each is for, with the settings that are its flags."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.environment import load
from app.jobs import Job
from app.settings import FIELDS, document


def _group(*groups: str) -> tuple[str, ...]:
    return tuple(name for name, field in FIELDS.items() if field.metadata["group"] in groups)


PLACE = ("models_dir", "run", "dataset")
"""What finds the run; without `run` it has the data set's name."""
ALWAYS = ("json", "debug")


@dataclass(frozen=True)
class Command:
    """One command: a line for the list, its settings as they are declared, `more` for its own help.

    A name of two words is a command of a group (`zoo fetch`). `positional`: the setting whose value arguments without a
    flag are, joined by `joint`; without one they are refused. `short`: the setting
    whose first letter is its flag too, as in `-f`.
    """

    name: str
    summary: str
    settings: tuple[str, ...]
    more: str = ""
    positional: str = ""
    joint: str = "\n"
    short: str = ""


def _command(name: str, summary: str, *settings: str, positional: str = "", **more: Any) -> Command:
    used = {*settings, *ALWAYS, *filter(None, [positional])}
    return Command(name, summary, tuple(field for field in FIELDS if field in used), positional=positional, **more)


_DATA = ("sample_images", *_group("data"))
_MODEL = _group("model")
_TRAINING = _group("training")
_CLUSTER = _group("cluster")
_EVALUATION = tuple(name for name in _group("evaluation") if name != "once")
_FORMS = ("export_forms", "signature_key")
_AT_END = (*_FORMS, "export_when_done", "promote_threshold", "serving_name", "serving_input")
"""What the evaluator does at its end."""
_ZOO = _group("zoo")
_TENSORBOARD = tuple(name for name in FIELDS if name.startswith("tensorboard_"))
_METRICS = ("metrics_host", "metrics_port")
_COPY = ("sync_to", "sync_every_secs")
_NOTIFY = ("notify", "notify_on")
_SERVICE = (*_METRICS, *_COPY, "restarts", "preemption_notice", *_NOTIFY)

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        _command(
            "up",
            "prepare, then train, evaluate and show it in TensorBoard, with one live view",
            *PLACE, *_DATA, *_MODEL, *_ZOO, *_TRAINING, *_CLUSTER, *_EVALUATION, *_AT_END, *_TENSORBOARD,
            *_METRICS, *_COPY, "preemption_notice", *_NOTIFY, "detach", "results_dir",
            more="Runs the three services as local processes until training and its last evaluation have "
            "ended. Ctrl-C saves a checkpoint; the same command goes on from there. It outlives its terminal; "
            "with --detach it needs none: see logs, status and stop.",
        ),
        _command("sample", "write the built-in synthetic data set", "output", "sample_images", "seed"),
        _command(
            "prepare",
            "check a data set, then write its records, label map and the run's pipeline.config",
            *PLACE, *_DATA, *_MODEL, *_ZOO, *_TRAINING, *_EVALUATION, "workers", "results_dir", "sync_to",
        ),
        _command(
            "inspect",
            "what is in a data set or in records: counts, sizes, faults, a sheet of drawn boxes",
            *PLACE, *_group("data"), "sample_images", "output",
            "model", "fine_tune_checkpoint", "image_size", "config_override",
            more="Writes a page, a contact sheet and the figures as JSON; `dataset` may be a folder of records, or a "
            "run's. The model's anchors are compared with the boxes.",
        ),
        _command(
            "train", "the trainer service", *PLACE, *_MODEL, *_ZOO, *_TRAINING, *_CLUSTER, *_SERVICE, "seed",
            "from_run",
            more="On several machines the same command on each: TF_CONFIG, or the variables of SkyPilot, Slurm or an "
            "indexed Kubernetes Job, say which is which. --from=run.json prepares and trains a run again.",
        ),
        _command(
            "evaluate", "the evaluator service, on the CPU",
            *PLACE, *_EVALUATION, *_AT_END, *_SERVICE, "once", "checkpoint_max_to_keep", "event_log_budget",
            "results_dir",
        ),
        _command(
            "export",
            "a checkpoint as SavedModel, frozen graph, TFLite or ONNX, compared with the checkpoint",
            *PLACE, *_FORMS, "checkpoint", "input", "output",
            more="Exports go to the run's exports/, or to --output. Images that --input names are compared on, and "
            "tell int8 its ranges, in place of the run's records. "
            "Forms: the SavedModels image_tensor, float_image_tensor, encoded_image_string_tensor, tf_example; "
            "frozen_graph, frozen_graph_text; tflite, tflite_dynamic, tflite_float16, tflite_int8; onnx.",
        ),
        _command(
            "promote",
            "the gate by hand: a checkpoint becomes the next version under serving/",
            *PLACE, "checkpoint", "best_metric", "best_metric_direction", "promote_threshold", "serving_name",
            "serving_input", "rollback",
        ),
        _command(
            "detect",
            "images and videos to drawn ones, COCO-style JSON and CSV, by any form of a model",
            *PLACE, *_group("detection"), "serving_name", "output", "max_image_pixels", positional="input",
            more="IMAGES are files (images, videos), folders or globs: detbox detect holiday/*.jpg --run=wheels.",
        ),
        _command(
            "report",
            "a page of a run, or of several compared: curves, tables, images, settings, cost",
            *PLACE, "best_metric", "best_metric_direction", "compare", "output", positional="compare", joint=",",
            more="Writes report.html into the run, or what --output names. Several RUNs are compared.",
        ),
        _command("zoo list", "the models of the TF2 model zoo", "models_dir", "zoo_dir"),
        _command(
            "zoo fetch",
            "a model of the TF2 model zoo, checked and unpacked",
            "models_dir", *_ZOO, "model", positional="model",
        ),
        _command(
            "migrate",
            "a TF1-era pipeline.config and its run settings to TF2, with what changed and why",
            "output", positional="input",
            more="CONFIG is the TF1 pipeline.config; settings such as save_checkpoints_steps=1000 may follow it.",
        ),
        _command(
            "events stats",
            "what event files are made of: bytes by tag and kind, steps, gaps, doubles, damage",
            "input",
            positional="input",
            more="PATHs are folders that TensorBoard is given, or event files: of detbox, TF1, TF2, Keras, PyTorch.",
        ),
        _command(
            "events compact",
            "event files in fewer bytes, the original untouched, with a proof of what was kept",
            "input", "output", "event_log_budget", "tag_every_n", "in_place",
            positional="input",
            more="Every curve keeps its shape with its first, last, least and greatest value; images are encoded anew "
            "and spread evenly; what a resume wrote twice is there once. Writes to PATH.compacted, or to --output.",
        ),
        _command(
            "tensorboard", "the TensorBoard service", *PLACE, *_TENSORBOARD, "compare",
            more="Of one run, or of the runs that --compare names; --compare=all: of all under models_dir.",
        ),
        _command(
            "status", "where the runs stand", "models_dir", "run", "best_metric", "host",
            more="All runs under models_dir, or the one that --run names.",
        ),
        _command(
            "logs", "what the services of a run have written", *PLACE, "follow",
            more="The last lines of each service's log; -f or --follow goes on until the run ends. Ctrl-C ends the "
            "showing, not the run.",
            short="follow",
        ),
        _command(
            "stop", "end a run that `up` has started, at an exact step", *PLACE,
            more="Waits until the step is saved, and names it; the same `up` goes on from there.",
        ),
        _command(
            "health", "whether a service makes progress, for a container's healthcheck", *PLACE, "service",
            more="Exit code 0 if its step advances, or if it has ended well; else 1.",
        ),
        _command(
            "doctor", "what is wrong with this machine or installation", "models_dir", "host",
            more="--host looks at what containers need, before any image is there: driver, toolkit, engine, disk, "
            "memory, ports. scripts/doctor-host is the same, and needs nothing but Python.",
        ),
    )
}  # fmt: skip


def functions() -> dict[str, Any]:
    """What Fire is given: a function a command, whose keyword-only arguments are the command's settings.

    Commands of a group are in a dictionary under the group's name.
    """
    table: dict[str, Any] = {}
    for name, command in COMMANDS.items():
        group, _, within = name.rpartition(" ")
        (table.setdefault(group, {}) if group else table)[within] = _function(command)
    return table


def _function(command: Command) -> Callable[..., Job]:
    from fire import decorators

    # A Job is returned, never run: Fire calls a function before it rejects an unknown flag.
    def build(**flags: str | None) -> Job:
        return Job(command.name, load(flags))

    build.__name__ = build.__qualname__ = command.name.replace(" ", "_")
    build.__doc__ = "\n".join(
        [command.summary, "", "Args:", *(f"  {name}: {document(name)}" for name in command.settings)]
    )
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in command.settings]
    vars(build)["__signature__"] = inspect.Signature(parameters)
    function: Callable[..., Job] = decorators.SetParseFn(str)(build)
    return function
