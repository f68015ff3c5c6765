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

from annotated_types import Ge, Gt, Le, Lt

# ruff: noqa: RUF009 (`setting` gives a dataclass field)
PREFIX = "DETBOX_"
NOT_SETTINGS = {"DETBOX_TEST_DATA", "DETBOX_REVISION", "DETBOX_IMAGE", "DETBOX_DATA_DIR"}
"""Variables with our prefix that other parts read (tests, compose.yaml)."""

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]
Fraction = Annotated[float, Gt(0), Lt(1)]


def setting(default: Any, doc: str, *, group: str) -> Any:
    """A field with its one line of documentation and the group that it is listed under."""
    return dataclasses.field(default=default, metadata={"doc": doc, "group": group})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one invocation."""

    # Where things are
    models_dir: Path = setting(Path("models"), "folder that holds one folder per run", group="places")
    run: str = setting("", "name of the run; empty: the name of the data set", group="places")
    dataset: str = setting("", "folder or file of the data set; empty: the built-in synthetic sample", group="data")
    format: str = setting("auto", "format of the data set; auto: by what is there", group="data")
    train_split: str = setting(
        "", "split to train on; empty: the set's own `train`, or what is left of a fraction", group="data"
    )
    eval_split: str = setting(
        "", "split to evaluate on; empty: the set's own `val`, `valid` or `test`, or a fraction", group="data"
    )
    eval_fraction: Fraction = setting(
        0.2, "part held out for evaluation where the set has no splits of its own", group="data"
    )
    num_shards: Count = setting(0, "record files per split; 0: by the number of images", group="data")
    max_side: Count | None = setting(
        None,
        "pixels of a stored image's longer side at most; empty: twice what the model sees; 0: as they are",
        group="data",
    )
    masks: bool | None = setting(
        None, "store instance masks where the set has them; empty: where the model reads them", group="data"
    )
    seed: Count = setting(0, "seed of splits, the sample, initial weights and shuffling", group="data")
    sample_images: Positive = setting(400, "images in the built-in sample", group="data")

    # The model
    model: str = setting(
        "",
        "preset, name in the model zoo, or path of a pipeline.config; empty: the fine-tune checkpoint's own, "
        "else `tiny`",
        group="model",
    )
    fine_tune_checkpoint: str = setting(
        "", "folder in the model zoo's layout, or checkpoint prefix, to start from; none: random weights", group="model"
    )
    fine_tune_checkpoint_type: Literal["detection", "classification", "fine_tune", "full", ""] = setting(
        "", "what is taken from it; empty: `detection`", group="model"
    )
    config_override: str = setting("", "proto text merged into the pipeline.config last", group="model")
    batch_size: Count = setting(0, "images per step over all replicas; 0: the model's", group="model")
    num_train_steps: Count = setting(0, "steps of the whole run; 0: the model's", group="model")
    learning_rate: Annotated[float, Gt(0)] | None = setting(
        None, "peak learning rate; empty: the model's, scaled to the batch size", group="model"
    )
    learning_rate_schedule: Literal["", "cosine", "step", "constant"] = setting(
        "", "shape of the schedule, tied to num_train_steps; empty: the model's", group="model"
    )
    warmup_steps: Count | None = setting(
        None, "steps of warm-up; empty: a tenth of the run, at most the model's", group="model"
    )
    batch_norm_decay: Fraction | None = setting(
        None, "decay of batch norm's moving averages; empty: tied to the length of the run", group="model"
    )
    image_size: str = setting(
        "", "pixels that the model sees: 640, or 480x640 (height x width); empty: the model's", group="model"
    )
    augmentations: str = setting(
        "", "names of augmentations, comma-separated; none: no augmentation; empty: the model's", group="model"
    )
    mixed_precision: bool = setting(False, "compute in half precision where the GPU is good at it", group="model")

    # The training loop
    checkpoint_every_n: Count = setting(
        0, "steps between checkpoints; 0: a tenth of the run, at most 1000", group="training"
    )
    checkpoint_every_secs: Count = setting(
        0, "seconds between checkpoints instead; not together with steps", group="training"
    )
    checkpoint_max_to_keep: Positive = setting(5, "newest checkpoints kept", group="training")
    checkpoint_backlog_max: Positive = setting(
        20, "checkpoints kept at most while the evaluator has not seen them", group="training"
    )
    summary_every_n: Positive = setting(20, "steps between summaries of the losses", group="training")
    learning_rate_summary_every_n: Count = setting(
        0, "steps between summaries of the learning rate; 0: as the losses", group="training"
    )
    image_summary_every_n: Count = setting(200, "steps between summaries of training images; 0: none", group="training")
    image_summary_max_outputs: Positive = setting(3, "training images in each of those", group="training")
    log_every_n: Positive = setting(20, "steps between progress lines and lines of metrics.jsonl", group="training")
    num_steps_per_iteration: Positive = setting(
        1, "steps run as one call; a stop waits for the end of a call", group="training"
    )
    resume: bool = setting(
        True, "go on from the newest complete checkpoint; false: refuse a run that has any", group="training"
    )

    # Evaluation
    once: bool = setting(False, "evaluate what is there now, then end", group="evaluation")
    eval_batch_size: Positive = setting(8, "images per evaluation step", group="evaluation")
    sample_1_of_n_eval_examples: Positive = setting(1, "evaluate one of every n images", group="evaluation")
    eval_image_outputs: Count = setting(6, "side-by-side images in TensorBoard per evaluation", group="evaluation")
    best_metric: str = setting(
        "DetectionBoxes_Precision/mAP", "metric that chooses the best checkpoint", group="evaluation"
    )
    best_metric_direction: Literal["", "higher", "lower"] = setting(
        "", "which value of best_metric is better; empty: lower for a loss, else higher", group="evaluation"
    )
    checkpoint_after_epochs: Annotated[float, Ge(0)] = setting(
        0.0, "epochs of training before a checkpoint can be the best", group="evaluation"
    )
    early_stopping_patience: Count = setting(
        0, "evaluations without improvement after which training stops; 0: never", group="evaluation"
    )
    early_stopping_min_delta: Annotated[float, Ge(0)] = setting(
        0.0, "change of best_metric that counts as improvement", group="evaluation"
    )
    eval_image_every_n: Positive = setting(
        1, "evaluations between side-by-side images in TensorBoard", group="evaluation"
    )
    eval_image_order: Literal["worst", "first"] = setting(
        "worst", "which images these are: those with the most errors, or the first", group="evaluation"
    )
    confusion_iou: Fraction = setting(
        0.5,
        "IoU from which a detection is that of a groundtruth box, for confusion matrix and curves",
        group="evaluation",
    )
    confusion_score: Annotated[float, Ge(0), Le(1)] | None = setting(
        None,
        "score from which a detection counts in the confusion matrix; empty: the F1-optimal one of its class",
        group="evaluation",
    )
    eval_wait_secs: Positive = setting(2, "seconds between looks for a new checkpoint", group="evaluation")
    detection_outputs: Count = setting(
        6, "held-out images drawn with the best model's detections at the end of `up`", group="evaluation"
    )

    # Export, promotion, detection
    export_forms: str = setting(
        "image_tensor", "forms to export, comma-separated, or all; `detbox export --help` lists them", group="export"
    )
    export_when_done: bool = setting(False, "the evaluator exports the best checkpoint at its end", group="export")
    signature_key: str = setting("serving_default", "name of the signature of SavedModels", group="export")
    checkpoint: str = setting("best", "which checkpoint: best, newest, a step, or a path", group="export")
    promote_threshold: float | None = setting(
        None,
        "value of best_metric from which the best checkpoint goes to serving; empty: never by itself",
        group="export",
    )
    serving_name: str = setting("", "name of the model in serving; empty: the run's", group="export")
    serving_input: Literal["image_tensor", "float_image_tensor", "encoded_image_string_tensor", "tf_example"] = setting(
        "image_tensor",
        "input of models in serving; encoded_image_string_tensor takes files, which is less to send",
        group="export",
    )
    rollback: bool = setting(False, "take the serving version away, so that the one before it serves", group="export")

    # Detection on images
    input: str = setting("", "files, folders or globs to work on, one a line", group="detection")
    detector: str = setting(
        "",
        "what detects: a checkpoint, an exported folder or file, or a TF1 frozen graph; empty: the run's best",
        group="detection",
    )
    server: str = setting("", "URL of a TensorFlow Serving model to ask instead", group="detection")
    label_map: str = setting(
        "", "label map for the names of classes; empty: the one beside the model", group="detection"
    )
    score_threshold: Annotated[float, Ge(0), Le(1)] | None = setting(
        None,
        "score from which a detection is shown; empty: the F1-optimal one of its class, else 0.4",
        group="detection",
    )
    detect_batch_size: Positive = setting(1, "images per call of the model", group="detection")

    # Model zoo
    zoo_mirror: str = setting(
        "", "URL or folder to fetch models of the zoo from; empty: upstream's address", group="zoo"
    )
    zoo_dir: Path = setting(Path("zoo"), "folder for the models of the zoo; relative: under models_dir", group="zoo")

    # TensorBoard, the terminal
    tensorboard_host: str = setting("127.0.0.1", "address TensorBoard listens on; it has no login", group="services")
    tensorboard_port: Annotated[int, Ge(0), Le(65535)] = setting(
        6006, "port of TensorBoard; 0: any free one", group="services"
    )
    tensorboard_samples_per_plugin: str = setting("images=100", "TensorBoard's --samples_per_plugin", group="services")
    tensorboard_until_done: bool = setting(
        False, "end TensorBoard with the run, if it goes on when TensorBoard starts", group="services"
    )
    service: Literal["trainer", "evaluator"] = setting(
        "trainer", "the service that `health` looks at", group="services"
    )
    compare: str = setting("", "runs to report on, comma-separated; several are compared", group="services")
    output: str = setting("", "where a command writes what it makes", group="services")
    json: bool = setting(False, "results as JSON on stdout", group="services")
    debug: bool = setting(False, "tracebacks and debug lines", group="services")

    given: frozenset[str] = dataclasses.field(default=frozenset(), compare=False, repr=False)
    """No setting: the names of those that were given, by flag, environment or `.env`."""

    @property
    def run_name(self) -> str:
        """The run's name: as given, else the data set's."""
        if self.run:
            return self.run
        return Path(self.dataset).resolve().name if self.dataset else "sample"


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
