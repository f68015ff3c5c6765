"""TF1's flags and RunConfig, and model_main_tf2's flags, as settings of detbox."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from app.errors import SettingsError, did_you_mean
from app.pipeline.migration.change import Change

SAME = {
    "save_summary_steps": "summary_every_n",
    "save_checkpoints_steps": "checkpoint_every_n",
    "checkpoint_every_n": "checkpoint_every_n",
    "save_checkpoints_secs": "checkpoint_every_secs",
    "keep_checkpoint_max": "checkpoint_max_to_keep",
    "checkpoint_max_to_keep": "checkpoint_max_to_keep",
    "log_step_count_steps": "log_every_n",
    "num_train_steps": "num_train_steps",
    "train_steps": "num_train_steps",
    "sample_1_of_n_eval_examples": "sample_1_of_n_eval_examples",
    "tf_random_seed": "seed",
    "run_once": "once",
    "allow_xla": "jit_compile",
}
"""TF1's names with the setting that means the same. The values are of the same unit."""

KEEP_ALL = 1_000_000
REPLICAS = "TF2 trains synchronously on every GPU that it sees"
EVERY_CHECKPOINT = "detbox evaluates every checkpoint as it appears, and ends with training"
WHOLE_SET = "detbox evaluates the whole set: sample_1_of_n_eval_examples takes a part"
GONE = {
    "keep_checkpoint_every_n_hours": "checkpoints are kept by number: checkpoint_max_to_keep; the best is kept besides",
    "eval_interval_secs": EVERY_CHECKPOINT,
    "throttle_secs": EVERY_CHECKPOINT,
    "start_delay_secs": EVERY_CHECKPOINT,
    "eval_timeout": EVERY_CHECKPOINT,
    "max_evals": EVERY_CHECKPOINT,
    "max_eval_retries": EVERY_CHECKPOINT,
    "eval_steps": WHOLE_SET,
    "num_eval_steps": WHOLE_SET,
    "sample_1_of_n_eval_on_train_examples": "the training set is not evaluated; its losses are in TensorBoard",
    "eval_training_data": "the training set is not evaluated; its losses are in TensorBoard",
    "eval_on_train_data": "the training set is not evaluated; its losses are in TensorBoard",
    "checkpoint_dir": "the evaluator finds its run by --models_dir and --run",
    "eval_dir": "events of the evaluation are in the run's eval/",
    "num_clones": REPLICAS,
    "clone_on_cpu": REPLICAS,
    "worker_replicas": REPLICAS,
    "ps_tasks": REPLICAS,
    "task": REPLICAS,
    "master": REPLICAS,
    "num_workers": REPLICAS,
    "worker_job_name": REPLICAS,
    "use_tpu": "detbox trains on GPUs and CPUs",
    "tpu_name": "detbox trains on GPUs and CPUs",
    "session_config": "TF1's sessions are gone",
    "save_graph": "TF2 has no graph to save; export makes one",
    "record_summaries": "summaries are always written; summary_every_n says how often",
    "alsologtostderr": "logs go to stderr",
    "logtostderr": "logs go to stderr",
}
"""Names without a counterpart, and why."""

BY_HAND = {
    "hparams_overrides": "write them as proto text in config_override",
    "config_override": "proto text, merged last: --config_override",
}


def split(arguments: Iterable[str]) -> dict[str, str]:
    """`key=value` arguments, with or without dashes before them, by key. Raises SettingsError."""
    values: dict[str, str] = {}
    for word in arguments:
        name, equals, value = word.strip().lstrip("-").partition("=")
        if not equals or not name:
            raise SettingsError(f"{word!r} is no setting", remedy="write save_checkpoints_steps=1000")
        if name in values:
            raise SettingsError(f"{name} is given twice", remedy="give it once")
        values[name] = value.strip("'\" ")
    return values


def translate(values: dict[str, str]) -> tuple[dict[str, str], list[Change], list[str]]:
    """detbox's settings, a change for each of TF1's, and what is left to the user. Raises SettingsError."""
    settings: dict[str, str] = {}
    changes: list[Change] = []
    left: list[str] = []
    for name, value in values.items():
        if name == "model_dir":
            path = PurePosixPath(value)
            settings |= {"models_dir": str(path.parent), "run": path.name}
            why = "a run is a folder under models_dir; TF1's own must not be gone on with: take another name"
            changes.append(Change(name, value, f"models_dir={path.parent}, run={path.name}", why))
        elif name in SAME and value in ("", "None") and name != "keep_checkpoint_max":
            changes.append(Change(name, value, "", "was not set"))
        elif name in SAME:
            changes.append(_same(name, value, settings))
        elif name in BY_HAND:
            left.append(f"{name}={value}: {BY_HAND[name]}.")
        elif name == "pipeline_config_path":
            changes.append(Change(name, value, "", "the config is the one that is migrated"))
        elif name in GONE:
            changes.append(Change(name, value, "", GONE[name]))
        else:
            raise _unknown(name)
    if {"checkpoint_every_n", "checkpoint_every_secs"} <= set(settings):
        raise SettingsError(
            "save_checkpoints_steps and save_checkpoints_secs are both given",
            remedy="give one, as TF1's RunConfig wants it too",
        )
    return settings, changes, left


def _same(name: str, value: str, settings: dict[str, str]) -> Change:
    setting, given, why = SAME[name], value, "means the same"
    if name == "keep_checkpoint_max" and value in ("0", "None"):
        value, why = str(KEEP_ALL), "0 kept all of them; detbox has a number, and says beforehand if the disk is short"
    if name == "run_once":
        value, why = value.lower(), "the evaluator's: evaluate --once"
    if settings.get(setting, value) != value:
        raise SettingsError(f"{name}={value} contradicts {setting}={settings[setting]}", remedy="give one of them")
    settings[setting] = value
    return Change(name, given, f"{setting}={value}", why)


def _unknown(name: str) -> SettingsError:
    known = [*SAME, *GONE, *BY_HAND, "model_dir", "pipeline_config_path"]
    return SettingsError(
        f"{name} is no run setting of TF1's OD API or of model_main_tf2",
        remedy=did_you_mean(name, known) or "docs/from-tf1.md has those that are known",
    )
