"""Every setting of detbox, declared once: name, type, default, meaning.

A setting `checkpoint_every_n` is the flag `--checkpoint_every_n`, the variable `DETBOX_CHECKPOINT_EVERY_N`
and the line of that name in `.env`. A flag wins over the environment, that over `.env`, that over the
default. An empty value means "not given". `.env.example`, the README's table and `docs/settings.md` are
generated from this file.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from app import declaration as f
from app.run_name import derive_run_name

# ruff: noqa: RUF009 (each gives a dataclass field)
PREFIX = "DETBOX_"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one invocation."""

    # Where things are
    models_dir: Path = f.places(Path("models"), "folder that holds one folder per run")
    run: str = f.places("", "name of the run; empty: that of the data set, with `-` for blanks and the like")
    sync_to: str = f.places(
        "", "s3://, gs://, az:// or folder to copy the run to as it goes on, and to restore it from; none: nowhere"
    )
    sync_every_secs: f.Positive = f.places(60, "seconds between copies; a new checkpoint is copied at once")
    from_run: str = f.places("", "run.json of a run to make again, with the same settings; `--from` for short")
    results_dir: str = f.places(
        "", "folder that gets a run's report, drawn images, exports and best checkpoint when it has ended; empty: none"
    )
    dataset: str = f.data("", "folder or file of the data set; empty: the built-in synthetic sample")
    format: str = f.data("auto", "format of the data set; auto: by what is there")
    train_split: str = f.data("", "split to train on; empty: the set's own `train`, or what is left of a fraction")
    eval_split: str = f.data("", "split to evaluate on; empty: the set's own `val`, `valid` or `test`, or a fraction")
    eval_fraction: f.Fraction = f.data(0.2, "part held out for evaluation where the set has no splits of its own")
    leak: Literal["", "refuse", "drop"] = f.data(
        "", "images in both splits: refuse, or drop from training; empty: refuse, in a set of fewer than ten drop"
    )
    keep_unreadable_as_negative: bool = f.data(
        False, "keep images of which no annotation is usable as images without objects; else they are left out"
    )
    num_shards: f.Count = f.data(0, "record files per split; 0: by the number of images")
    max_side: f.Count | None = f.data(
        None, "pixels of a stored image's longer side at most; empty: twice what the model sees; 0: as they are"
    )
    max_image_pixels: f.Positive = f.data(
        120_000_000, "pixels of an image as it is in its file at most; a larger one is not decoded"
    )
    follow_links: bool = f.data(False, "follow symbolic links that lead out of the data set's folder")
    masks: bool | None = f.data(None, "store instance masks where the set has them; empty: where the model reads them")
    seed: f.Count = f.data(0, "seed of splits, the sample, initial weights and shuffling")
    sample_images: f.Positive = f.data(400, "images in the built-in sample")

    # The model
    model: str = f.model(
        "",
        "preset, name in the model zoo, or path of a pipeline.config; empty: the fine-tune checkpoint's own, "
        "else `tiny`",
    )
    fine_tune_checkpoint: str = f.model(
        "", "folder in the model zoo's layout, or checkpoint prefix, to start from; none: random weights"
    )
    fine_tune_checkpoint_type: Literal["detection", "classification", "fine_tune", "full", ""] = f.model(
        "", "what is taken from it; empty: `detection`"
    )
    config_override: str = f.model("", "proto text merged into the pipeline.config last")
    batch_size: f.Count | Literal["auto"] = f.model(
        0, "images of one pass, over all replicas; 0: the model's; auto: what this machine trains best"
    )
    effective_batch_size: f.Count = f.model(0, "images of one update, made in passes of batch_size; 0: one pass")
    num_train_steps: f.Count = f.model(0, "steps of the whole run; 0: the model's")
    learning_rate: Annotated[float, Gt(0)] | None = f.model(
        None, "peak learning rate; empty: the model's, scaled to the batch size"
    )
    learning_rate_schedule: Literal["", "cosine", "step", "constant"] = f.model(
        "", "shape of the schedule, tied to num_train_steps; empty: the model's"
    )
    warmup_steps: f.Count | None = f.model(None, "steps of warm-up; empty: a tenth of the run, at most the model's")
    batch_norm_decay: f.Fraction | None = f.model(
        None, "decay of batch norm's moving averages; empty: tied to the length of the run"
    )
    image_size: str = f.model("", "pixels that the model sees: 640, or 480x640 (height x width); empty: the model's")
    augmentations: str = f.model("", "augmentations, comma-separated; none: no augmentation; empty: the model's")

    # The training loop
    checkpoint_every_n: f.Count = f.training(0, "steps between checkpoints; 0: a tenth of the run, at most 1000")
    checkpoint_every_secs: f.Count = f.training(0, "seconds between checkpoints instead; not together with steps")
    checkpoint_max_to_keep: f.Positive = f.training(5, "newest checkpoints kept")
    checkpoint_backlog_max: f.Positive = f.training(
        20, "checkpoints kept at most while the evaluator has not seen them"
    )
    summary_every_n: f.Positive = f.training(20, "steps between summaries of the losses")
    learning_rate_summary_every_n: f.Count = f.training(
        0, "steps between summaries of the learning rate; 0: as the losses"
    )
    image_summary_every_n: f.Count = f.training(200, "steps between summaries of training images; 0: none")
    image_summary_max_outputs: f.Positive = f.training(3, "training images in each of those")
    log_every_n: f.Positive = f.training(20, "steps between progress lines and lines of metrics.jsonl")
    event_log_budget: f.Size = f.training(
        "200MB", "bytes of the run's event files, or of a log to compact: cadences not given follow; 0: no budget"
    )
    num_steps_per_iteration: f.Positive = f.training(1, "steps run as one call; a stop waits for the end of a call")
    loss_upper_bound: Annotated[float, Ge(0)] = f.training(
        0.0, "total loss above which the run counts as diverged, as with one that is not finite; 0: none"
    )
    on_divergence: Literal["stop", "rollback"] = f.training(
        "stop", "a run that diverged stops, or goes back to a checkpoint from before that, up to three times in all"
    )
    rollback_factor: f.Fraction = f.training(0.1, "by which each rollback multiplies the learning rates of the run")
    skip_corrupt_records: f.Count = f.training(
        0, "training records that may be passed over because they can't be read; 0: the first ends training"
    )
    watchdog_factor: Annotated[float, Ge(0)] = f.training(
        50.0, "a step that takes so many times the median ends the trainer, to be started again; 0: never"
    )
    watchdog_least_secs: f.Positive = f.training(
        300, "seconds before which no step is late; `up` ends a stopped or hung trainer or evaluator after as many"
    )
    watchdog_first_secs: f.Count = f.training(
        3600, "seconds for the first step, which compiles, and for each save, before the same happens; 0: no limit"
    )
    trial_secs: f.Count = f.training(
        300, "seconds that the trial before training may take, and each try of `batch_size=auto`; 0: no trial"
    )
    mixed_precision: Literal["auto", "off", "bfloat16", "float16"] = f.training(
        "off", "what layers compute in: bfloat16, float16, or off for float32; auto: what the GPUs are good at"
    )
    jit_compile: bool = f.training(False, "have XLA compile what it can of the training step")
    resume: bool = f.training(True, "go on from the newest complete checkpoint; false: refuse a run that has any")
    deterministic: bool = f.training(
        False, "the same losses bit for bit, run after run, on the same machine and image; slower"
    )

    gpus: str = f.training(
        "", "GPUs to train on: numbers of nvidia-smi (0,2), UUIDs, MIG devices, `count=2`, or none; empty: all"
    )

    # Several machines
    workers: f.Count = f.cluster(
        0, "processes that train together, a machine each; 0: as many as TF_CONFIG, SkyPilot or Slurm says"
    )
    worker_service: str = f.cluster("", "headless service of the pods of an indexed Kubernetes Job: their subdomain")
    worker_port: Annotated[int, Ge(1), Le(65535)] = f.cluster(
        2222, "port that a worker listens on for the others, where TF_CONFIG does not say"
    )
    worker_wait_secs: f.Positive = f.cluster(900, "seconds that a worker waits for the others at the start")

    # Evaluation
    once: bool = f.evaluation(False, "evaluate what is there now, then end")
    eval_batch_size: f.Positive = f.evaluation(8, "images per evaluation step")
    sample_1_of_n_eval_examples: f.Positive = f.evaluation(1, "evaluate one of every n images")
    eval_image_outputs: f.Count = f.evaluation(6, "side-by-side images in TensorBoard per evaluation")
    best_metric: str = f.evaluation("DetectionBoxes_Precision/mAP", "metric that chooses the best checkpoint")
    best_metric_direction: Literal["", "higher", "lower"] = f.evaluation(
        "", "which value of best_metric is better; empty: lower for a loss, else higher"
    )
    checkpoint_after_epochs: Annotated[float, Ge(0)] = f.evaluation(
        0.0, "epochs of training before a checkpoint can be the best"
    )
    early_stopping_patience: f.Count = f.evaluation(
        0, "evaluations without improvement after which training stops; 0: never"
    )
    early_stopping_min_delta: Annotated[float, Ge(0)] = f.evaluation(0.0, "improvement of best_metric that counts")
    eval_image_every_n: f.Positive = f.evaluation(1, "evaluations between side-by-side images in TensorBoard")
    eval_image_order: Literal["worst", "first"] = f.evaluation(
        "worst", "which images these are: those with the most errors, or the first"
    )
    confusion_iou: f.Fraction = f.evaluation(
        0.5, "IoU from which a detection is that of a groundtruth box, for confusion matrix and curves"
    )
    confusion_score: Annotated[float, Ge(0), Le(1)] | None = f.evaluation(
        None, "score from which a detection counts in the confusion matrix; empty: the F1-optimal one of its class"
    )
    eval_wait_secs: f.Positive = f.evaluation(2, "seconds between looks for a new checkpoint")
    detection_outputs: f.Count = f.evaluation(
        6, "held-out images drawn with the best model's detections at the end of `up`"
    )

    # Export, promotion, detection
    export_forms: str = f.export(
        "image_tensor", "forms to export, comma-separated, or all; `detbox export --help` lists them"
    )
    export_when_done: bool = f.export(False, "the evaluator exports the best checkpoint at its end")
    signature_key: str = f.export("serving_default", "name of the signature of SavedModels")
    checkpoint: str = f.export("best", "which checkpoint: best, newest, a step, or a path")
    promote_threshold: float | None = f.export(
        None, "value of best_metric from which the best checkpoint goes to serving; empty: never by itself"
    )
    serving_name: str = f.export("", "name of the model in serving; empty: the run's")
    serving_input: Literal["image_tensor", "float_image_tensor", "encoded_image_string_tensor", "tf_example"] = (
        f.export(
            "image_tensor", "input of models in serving; encoded_image_string_tensor takes files, which is less to send"
        )
    )
    rollback: bool = f.export(False, "take the serving version away, so that the one before it serves")

    # Detection on images
    input: str = f.detection("", "files, folders or globs to work on, one a line")
    detector: str = f.detection(
        "", "what detects: a checkpoint, an exported folder or file, or a TF1 frozen graph; empty: the run's best"
    )
    server: str = f.detection("", "URL of a TensorFlow Serving model to ask instead")
    label_map: str = f.detection("", "label map for the names of classes; empty: the one beside the model")
    score_threshold: Annotated[float, Ge(0), Le(1)] | None = f.detection(
        None, "score from which a detection is shown; empty: the F1-optimal one of its class, else 0.4"
    )
    detect_batch_size: f.Positive = f.detection(1, "images, or frames of a video, per call of the model")

    # Model zoo
    zoo_mirror: str = f.zoo("", "URL or folder to fetch models of the zoo from; empty: upstream's address")
    zoo_dir: Path = f.zoo(Path("zoo"), "folder for the models of the zoo; relative: under models_dir")

    # Event logs
    tag_every_n: str = f.events(
        "", "tags to keep a value of every so many steps, whatever the budget: `GLOB=STEPS,...`; 0: none of that tag"
    )
    in_place: bool = f.events(False, "replace the event files that are compacted")

    # TensorBoard, Prometheus, the terminal
    tensorboard_host: str = f.services("127.0.0.1", "address TensorBoard listens on; it has no login")
    tensorboard_port: f.Port = f.services(6006, "port of TensorBoard; 0: any free one")
    tensorboard_samples_per_plugin: str = f.services("images=100", "TensorBoard's --samples_per_plugin")
    tensorboard_until_done: bool = f.services(
        False, "end TensorBoard with the run, if it goes on when TensorBoard starts"
    )
    tensorboard_linger: Annotated[float, Ge(0)] = f.services(10.0, "seconds that TensorBoard stays after that end")
    metrics_host: str = f.services("127.0.0.1", "address of the metrics; they have no login")
    metrics_port: f.Port = f.services(
        0, "port of the page /metrics for Prometheus, of `up` or of a service on its own; 0: none"
    )
    host: bool = f.services(
        False, "all of this machine: for `status` what runs on it, for `doctor` what containers need"
    )
    service: Literal["trainer", "evaluator"] = f.services("trainer", "the service that `health` looks at")
    restarts: f.Count = f.services(
        0, "how often `train` or `evaluate` is started again if that can help, without progress meanwhile; 0: never"
    )
    preemption_notice: Literal["auto", "off", "aws", "azure", "gce"] = f.services(
        "auto", "cloud that is asked whether it takes this machine: aws, azure, gce; auto: its own, if any; off: none"
    )
    notify: str = f.secret("", "addresses of Apprise's, comma-separated, that are told of a run's end; none: nobody")
    notify_on: str = f.services(
        "done,failed,preempted", "what is told of: done, failed (for good), preempted, best (a new best checkpoint)"
    )
    detach: bool = f.services(False, "run in the background, and return when training has begun")
    follow: bool = f.services(False, "go on showing lines as they come, until the run ends; -f for short")
    compare: str = f.services("", "runs to report on, comma-separated; several are compared")
    output: str = f.services("", "where a command writes what it makes")
    json: bool = f.services(False, "results as JSON on stdout")
    debug: bool = f.services(False, "tracebacks and debug lines")

    given: frozenset[str] = dataclasses.field(default=frozenset(), compare=False, repr=False)
    """No setting: the names of those that were given, by flag, environment or `.env`."""

    @property
    def run_name(self) -> str:
        """The run's name: as given, else made of the data set's, whichever way the path to it is written."""
        if self.run:
            return self.run
        return derive_run_name(Path(self.dataset).resolve().name) if self.dataset else "sample"


FIELDS = {field.name: field for field in dataclasses.fields(Settings) if "doc" in field.metadata}


def document(name: str) -> str:
    """The documentation line of a setting."""
    return str(FIELDS[name].metadata["doc"])


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def is_given(settings: Settings, name: str) -> bool:
    """Whether the setting was given, or has another value than its default."""
    return name in settings.given or bool(getattr(settings, name) != FIELDS[name].default)


def as_text(value: Any) -> str:
    """A setting's value as it is given in the environment; empty for one that is not given."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def flag(name: str, value: str = "") -> str:
    """A setting as remedies name it: `--run=NAME / DETBOX_RUN`. Raises KeyError if there is no such setting."""
    return f"--{FIELDS[name].name}{value and '='}{value} / {variable(name)}"
