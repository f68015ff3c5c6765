"""The table of commands: what each is for, with the settings that are its flags."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.jobs import Job
from app.settings import FIELDS, document, load


def _group(*groups: str) -> tuple[str, ...]:
    return tuple(name for name, field in FIELDS.items() if field.metadata["group"] in groups)


PLACE = ("models_dir", "run", "dataset")
"""What finds the run; without `run` it has the data set's name."""
ALWAYS = ("json", "debug")


@dataclass(frozen=True)
class Command:
    """One command: a line for the list, its settings as they are declared, more words for its own help."""

    name: str
    summary: str
    settings: tuple[str, ...]
    more: str = ""


def _command(name: str, summary: str, *settings: str, more: str = "") -> Command:
    used = {*settings, *ALWAYS}
    return Command(name, summary, tuple(field for field in FIELDS if field in used), more)


_DATA = ("sample_pictures", *_group("data"))
_MODEL = _group("model")
_TRAINING = _group("training")
_EVALUATION = tuple(name for name in _group("evaluation") if name != "once")
_EXPORT = _group("export")
_TENSORBOARD = tuple(name for name in FIELDS if name.startswith("tensorboard_"))

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        _command(
            "up",
            "prepare, then train, evaluate and show it in TensorBoard, with one live view",
            *PLACE, *_DATA, *_MODEL, *_TRAINING, *_EVALUATION, *_EXPORT, *_TENSORBOARD,
            more="Runs the three services as local processes until training and its last evaluation have "
            "ended. Ctrl-C saves a checkpoint; the same command goes on from there.",
        ),
        _command("sample", "write the built-in synthetic data set", "output", "sample_pictures", "seed"),
        _command(
            "prepare",
            "check a data set, then write its records, label map and the run's pipeline.config",
            *PLACE, *_DATA, *_MODEL, *_TRAINING, *_EVALUATION,
        ),
        _command("train", "the trainer service", *PLACE, *_MODEL, *_TRAINING, "seed"),
        _command(
            "evaluate", "the evaluator service, on the CPU",
            *PLACE, *_EVALUATION, *_EXPORT, "once", "checkpoint_max_to_keep",
        ),
        _command("export", "the best checkpoint as a SavedModel, in the model zoo's layout", *PLACE, "input_type"),
        _command("tensorboard", "the TensorBoard service", *PLACE, *_TENSORBOARD),
        _command(
            "status", "where the runs stand", "models_dir", "run", "best_metric",
            more="All runs under models_dir, or the one that --run names.",
        ),
        _command(
            "health", "whether a service makes progress, for a container's healthcheck", *PLACE, "service",
            more="Exit code 0 if its step advances, or if it has ended well; else 1.",
        ),
        _command("doctor", "what is wrong with this machine or installation", "models_dir"),
    )
}  # fmt: skip


def functions() -> dict[str, Callable[..., Job]]:
    """What Fire is given: a function a command, whose keyword-only arguments are the command's settings."""
    return {name: _function(command) for name, command in COMMANDS.items()}


def _function(command: Command) -> Callable[..., Job]:
    from fire import decorators

    # A Job is returned, never run: Fire calls a function before it rejects an unknown flag.
    def build(**flags: str | None) -> Job:
        return Job(command.name, load(flags))

    build.__name__ = build.__qualname__ = command.name
    build.__doc__ = "\n".join(
        [command.summary, "", "Args:", *(f"  {name}: {document(name)}" for name in command.settings)]
    )
    build.__signature__ = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in command.settings]
    )
    return decorators.SetParseFn(str)(build)
