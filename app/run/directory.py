"""The names of a run's files. Nothing else in detbox spells them."""

from dataclasses import dataclass
from pathlib import Path

from app.errors import SettingsError
from app.run_name import derive_run_name, is_run_name
from app.settings import flag

PIPELINE_CONFIG = "pipeline.config"
LABEL_MAP = "label_map.pbtxt"
BEST_CARD = "best.json"
DATASET_CARD = "dataset.json"
CARD = "card.json"
"""The card of an export or of a version in serving, in its folder."""
CHECKPOINT_STATE = "checkpoint"
"""The file by which TensorFlow finds the checkpoints of a folder."""
CHECKPOINT_PREFIX = "ckpt-"
SAMPLE_PREFIX = "sample-"


class _Path:
    """A path below a run's directory."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    def __get__(self, run: "Run", owner: type["Run"]) -> Path:
        return run.root.joinpath(*self._parts)


@dataclass(frozen=True)
class Run:
    """The paths of one run. Building one touches nothing on disk."""

    root: Path

    pipeline_config = _Path(PIPELINE_CONFIG)
    pipeline_by_hand = _Path("pipeline.config.by-hand")
    """A pipeline.config that was changed by hand, before `prepare` made it anew."""
    pipeline_diff = _Path("pipeline.diff")
    label_map = _Path(LABEL_MAP)
    provenance = _Path("run.json")
    trial = _Path("trial.json")
    """Which pipeline.config and records were tried last, see `services.trial`."""
    records = _Path("records")
    readable_records = _Path("records.readable")
    """Copies of damaged record files without what can't be read, see `dataset.readable_records`."""
    dataset_card = _Path("records", DATASET_CARD)
    train_events = _Path("train")
    eval_events = _Path("eval")
    metrics = _Path("metrics.jsonl")
    rollbacks = _Path("rollbacks.jsonl")
    evaluations = _Path("evaluations.jsonl")
    detections = _Path("detections")
    detections_index = _Path("detections", "index.json")
    detected = _Path("detected")
    """What `detect` wrote."""
    pinned_checkpoint = _Path(".evaluating")
    """The evaluator's own links to the checkpoint that it evaluates."""
    best = _Path("best")
    best_card = _Path("best", BEST_CARD)
    status_dir = _Path("status")
    goodput = _Path("status", "goodput.json")
    done = _Path("DONE")
    stop_request = _Path("status", "stop.json")
    copy_state = _Path("status", "sync.json")
    copy_lock = _Path("status", "sync.lock")
    """Held by the process that copies the run to an object store."""
    broken = _Path("broken")
    """Checkpoints that could not be read."""
    exports = _Path("exports")
    report = _Path("report.html")
    inspection = _Path("inspect")
    logs = _Path("logs")

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def exists(self) -> bool:
        """Whether anything was made of this run: a config, a heartbeat or a metric."""
        return any(path.exists() for path in (self.pipeline_config, self.status_dir, self.metrics))

    def sample(self, images: int, seed: int) -> Path:
        """The built-in data set, where a run has no other."""
        return self.root / f"{SAMPLE_PREFIX}{images}-{seed}"

    def evaluation_details(self, step: int) -> Path:
        """Figures by class, confusion matrix and images of the evaluation of `step`."""
        return self.root / "evaluations" / f"{step}.json"

    def promoted(self, name: str, version: int) -> Path:
        """The checkpoint that was promoted as that version of the model `name`."""
        return self.root / "promoted" / name / str(version)

    def status(self, service: str) -> Path:
        """`service` is `trainer` or `evaluator`; `up`: the process that started both."""
        return self.status_dir / f"{service}.json"

    def service_lock(self, service: str) -> Path:
        """Held by the process that is the run's only `service`."""
        return self.status_dir / f"{service}.lock"

    def export_cards(self) -> list[Path]:
        """The cards of the exports that are complete: one that is being written has a hidden name."""
        return sorted(self.exports.glob(f"[!.]*/{CARD}"))

    def export_card(self, form: str) -> Path:
        """The card of the export in `form`."""
        return self.exports / form / CARD

    def log(self, service: str) -> Path:
        return self.logs / f"{service}.log"

    def checkpoint(self, step: int) -> Path:
        """The prefix of the checkpoint of `step`: files `ckpt-<step>.index` and `ckpt-<step>.data-*`."""
        return self.root / f"{CHECKPOINT_PREFIX}{step}"

    def checkpoint_steps(self) -> list[int]:
        """Steps whose checkpoint has an index file, ascending. It is written last, so these are complete."""
        found = (index for index in self.root.glob(f"{CHECKPOINT_PREFIX}*.index") if index.is_file())
        steps = map(checkpoint_step, (index.stem for index in found))
        return sorted(step for step in steps if step is not None)


def checkpoint_step(prefix: str) -> int | None:
    """The step in a checkpoint's name or path; None where it has none."""
    number = prefix.rpartition(CHECKPOINT_PREFIX)[2]
    is_step = number.isascii() and number.isdecimal() and number == str(int(number))  # as we write it: no 007
    return int(number) if is_step and CHECKPOINT_PREFIX in prefix else None


def find_run(models_dir: Path, name: str) -> Run:
    """The run `name` under `models_dir`, whether it exists or not. Its paths are absolute: pipeline.config holds them.

    Raises SettingsError if the name could leave `models_dir` or is taken by detbox itself.
    """
    if not is_run_name(name):
        raise SettingsError(
            f"{name!r} is no name for a run",
            remedy=f"A to Z, digits, '.', '_' and '-', not 'serving' or 'zoo': {flag('run', derive_run_name(name))}",
        )
    return Run(models_dir.resolve() / name)


def find_runs(models_dir: Path) -> list[Run]:
    """The runs under `models_dir`, by name."""
    if not models_dir.is_dir():
        return []
    return [run for run in map(Run, sorted(models_dir.iterdir())) if is_run_name(run.name) and run.exists]


def serving_dir(models_dir: Path, name: str) -> Path:
    """TensorFlow Serving's folder of versions for the model `name`."""
    return models_dir / "serving" / name


def comparison_page(models_dir: Path) -> Path:
    """The page that compares several runs."""
    return models_dir / "comparison.html"
